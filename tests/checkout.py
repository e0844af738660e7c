"""Path of this checkout, and of the folder of shared reference material beside it, if there is one."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
SHARED = REPOSITORY.parent / "shared"

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared beside the checkout")
