"""A SLURM for all tests of this folder, or the reason why they are skipped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster import slurm


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """SLURM runs; it is stopped at the end if it was started here."""
    before = slurm.CONTROLLER.process is not None
    try:
        slurm.up()
    except slurm.UnavailableError as reason:
        pytest.skip(str(reason))
    yield
    if not before:
        slurm.down()
