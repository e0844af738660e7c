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

from workflow_scripts.encoders._external import (
    ExternalOptions,
    hop,  # noqa: F401 - member of the level
    require_path,
    sample_rate,  # noqa: F401 - member of the level
)
from workflow_scripts.levels.options import UserPath

if TYPE_CHECKING:
    from workflow_scripts.networks.module import ModuleEncoder

LABEL = "own module"
TRAINABLE = True
EXTERNAL = True


class Options(ExternalOptions):
    """Options of a class in a file."""

    name: str = ""
    """The class, built without arguments; empty: the only one in the file that is a `torch.nn.Module`."""
    files: tuple[UserPath, ...] = ()
    """Other files that it reads or imports from its folder, such as its weights: with another content they are another
    encoder."""


def content(options: Options) -> Iterator[Path]:
    """Yield the files that make the encoder what it is. Raises `UserError` if its own is not stated."""
    yield require_path(options, "module")
    yield from map(Path, options.files)


def build(options: Options) -> ModuleEncoder:
    """Build the class; its weights are those that it starts with. Raises `UserError` if it cannot be built."""
    from workflow_scripts.networks.module import ModuleEncoder

    return ModuleEncoder(
        Path(options.path), name=options.name, sample_rate=options.sample_rate, seconds=options.seconds
    )
