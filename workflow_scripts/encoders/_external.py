"""Options that encoders share whose network is not part of Prelude."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from pydantic import Field

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.options import LevelOptions, UserPath
from workflow_scripts.networks.sizes.external import MAX_SECONDS, SAMPLE_RATE


class ExternalOptions(LevelOptions):
    """Options of an external encoder."""

    path: UserPath = ""
    """Its file or folder; `path` of the checkpoint."""
    sample_rate: int = Field(default=SAMPLE_RATE, gt=0)
    """Sample rate in Hz; it must be the network's."""
    seconds: float | None = Field(default=None, gt=0)
    """Seconds of the windows into which clips are cut; null: a clip is encoded whole, in pieces of at most 30 s."""


def require_path(options: ExternalOptions, level: str) -> Path:
    """Return the path that an encoder needs; raises `UserError` if none is stated."""
    if not options.path:
        raise UserError(f"encoder {level} needs `path`, its file or folder")
    return Path(options.path)


def version_files(package: str) -> Iterator[Path]:
    """Yield the file that states the version of an installed package; nothing without the package."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        distribution = metadata.distribution(package)
        for file in distribution.files or ():
            if file.match("*.dist-info/METADATA"):
                yield Path(str(distribution.locate_file(file)))


def sample_rate(options: ExternalOptions) -> int:
    """Return the sample rate in Hz."""
    return options.sample_rate


def hop(options: ExternalOptions) -> int:
    """Return the samples between two frames: those of a window."""
    return round((options.seconds or MAX_SECONDS) * options.sample_rate)
