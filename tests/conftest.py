"""Several processes share the tests: a file stays in one of them, and so do all tests that need the one SLURM."""

from __future__ import annotations

import gc
import os
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

#: parts that one process runs, the longest first, so that none is left over at the end
PARTS = (
    "tests/cluster/",
    "tests/workflow/test_workflow.py",
    "tests/workflow/test_contrastive.py",
    "tests/workflow/test_separation.py",
    "tests/test_versions.py",
    "tests/test_kill_anywhere.py",
    "tests/statistics/",
    "tests/audio/",
)

if "PYTEST_XDIST_WORKER" in os.environ:  # threads that wait must not spin on a core that another process could use
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # as the rules have it
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each of hundreds of jobs would compile Prelude's modules again


class ByFile(LoadScopeScheduling):
    """Gives a process whole files, and all of SLURM's to one."""

    def _split_scope(self, nodeid: str) -> str:
        return PARTS[0] if nodeid.startswith(PARTS[0]) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Share the tests by file."""
    return ByFile(config, log)


def pytest_collection_finish() -> None:
    """Leave the collected tests out of garbage collections: statsmodels starts one in each adjustment of p values."""
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest parts first."""
    items.sort(key=lambda item: next((n for n, part in enumerate(PARTS) if item.nodeid.startswith(part)), len(PARTS)))
