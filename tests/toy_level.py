"""A toy level in place of the real ones, whose attributes a test sets."""

from __future__ import annotations

import types
from typing import Any

import pytest

from workflow_scripts.levels import registry
from workflow_scripts.levels.options import LevelOptions


def install_toy_level(monkeypatch: pytest.MonkeyPatch, options: type[LevelOptions] = LevelOptions) -> Any:
    """Put a data set of no known size in place of every level; return its module."""
    module: Any = types.ModuleType("workflow_scripts.datasets.toy")
    module.Options, module.SIZE = options, None
    monkeypatch.setattr(registry, "load", lambda factor, name: module)
    return module
