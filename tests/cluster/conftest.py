"""SLURM for all tests of this folder, or the reason why they are skipped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster import slurm


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """Run SLURM; stop it at the end if it was started here."""
    was_running = slurm.CONTROLLER.process_id is not None
    try:
        slurm.start_cluster()
    except slurm.UnavailableError as reason:
        pytest.skip(str(reason))
    yield
    if not was_running:
        slurm.stop_cluster()
        assert not slurm.FOLDER.exists(), "state and logs"
        assert not (slurm.CONFIGURATION / "slurm.conf").exists(), "settings"
        assert [daemon for daemon in (slurm.CONTROLLER, slurm.NODE) if daemon.process_id is not None] == []
