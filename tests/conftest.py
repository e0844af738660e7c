"""Several processes share the tests: a file stays in one of them, and so do all tests that need the one SLURM."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Iterator
from pathlib import Path
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


#: connections that the running test tried to open
REFUSED: list[object] = []
#: tests of jobs that fetch, and of a command that asks hosts; those of other jobs are beside them
WITH_NETWORK = ("test_acquire.py", "test_check_remotes.py")
LOOPBACK = ("127.0.0.1", "::1", "localhost", "")


@pytest.fixture(autouse=True)
def refuse_the_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Refuse connections to other machines in the tests of jobs, as on a compute node; a test that tries one fails."""
    path = Path(request.path)
    if path.parent != Path(__file__).parent or path.name in WITH_NETWORK:
        yield
        return
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def refuse(target: object) -> None:
        REFUSED.append(target)
        raise OSError(f"no network in tests of jobs: {target}")

    def connect_here(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
            refuse(address)
        connect(self, address)

    def resolve_here(host: Any, *given: Any, **named: Any) -> Any:
        if host not in (None, *LOOPBACK):
            refuse(host)
        return resolve(host, *given, **named)

    monkeypatch.setattr(socket.socket, "connect", connect_here)
    monkeypatch.setattr(socket, "getaddrinfo", resolve_here)
    yield
    refused = list(REFUSED)
    REFUSED.clear()
    assert not refused
