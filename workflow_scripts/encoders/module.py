"""An encoder of yours: a class in a Python file, with the members that X-ARES asks for.

class MyEncoder(torch.nn.Module):
    sampling_rate = 16000
    output_dim = 512
    hop_size_in_ms = 10

    def forward(self, audio):  # (batch, samples) to (batch, frames, 512)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.networks.sizes.external import MAX_SECONDS, SAMPLE_RATE

if TYPE_CHECKING:
    from workflow_scripts.networks.module import ModuleEncoder

LABEL = "own module"
TRAINABLE = True
EXTERNAL = True


class Options(LevelOptions):
    """Options of a class in a file."""

    path: str = ""
    """The Python file; `path` of the checkpoint."""
    name: str = ""
    """The class, built without arguments; empty: the only one in the file that is a `torch.nn.Module`."""
    files: tuple[str, ...] = ()
    """Other files that it reads, such as its weights: with another content they are another encoder."""
    sample_rate: int = Field(default=SAMPLE_RATE, gt=0)
    """Sample rate in Hz; it must be the class's."""
    seconds: float | None = Field(default=None, gt=0)
    """Seconds of the windows into which clips are cut; null: a clip is encoded whole, in pieces of at most 30 s."""


def sample_rate(options: Options) -> int:
    """Return the sample rate in Hz."""
    return options.sample_rate


def hop(options: Options) -> int:
    """Return the samples between two frames: those of a window."""
    return round((options.seconds or MAX_SECONDS) * options.sample_rate)


def content(options: Options) -> Iterator[Path]:
    """Yield the files that make the encoder what it is."""
    yield from map(Path, (options.path, *options.files))


def build(options: Options) -> ModuleEncoder:
    """Build the class; its weights are those that it starts with. Raises `UserError` if it cannot be built."""
    from workflow_scripts.networks.module import ModuleEncoder

    return ModuleEncoder(
        Path(options.path), name=options.name, sample_rate=options.sample_rate, seconds=options.seconds
    )
