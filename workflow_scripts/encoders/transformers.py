"""An audio model of Hugging Face in a local folder: wav2vec 2.0, HuBERT, WavLM, MERT, AST, Whisper's encoder, CLAP.

It needs the package transformers: `pip install '.[transformers]'`. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from workflow_scripts.encoders._external import (
    ExternalOptions,
    hop,  # noqa: F401 - member of the level
    require_path,
    sample_rate,  # noqa: F401 - member of the level
    version_files,
)

if TYPE_CHECKING:
    from workflow_scripts.networks.transformers import TransformersEncoder

LABEL = "transformers model"
TRAINABLE = True
EXTERNAL = True


class Options(ExternalOptions):
    """Options of a folder; of a network that pads audio to a window of its own `seconds` must be that window."""

    layer: int | Literal["weighted"] = -1
    """Output of the layer of this number, 0 before the first, -1 the last; or `weighted`: all of them, one after the
    other, for the head `weighted_layers`."""
    trust_remote_code: bool = False
    """Whether Python code in the folder is run, which may do anything."""


def content(options: Options) -> Iterator[Path]:
    """Yield the files of the folder that the network is built from (configuration, code and weights), and the version
    of the package that builds it.

    Raises `UserError` if no folder is stated.
    """
    folder = require_path(options, "transformers")
    named = [folder / "config.json", folder / "preprocessor_config.json"]
    yield from named
    yield from sorted({*folder.glob("*.json"), *folder.glob("*.py")} - {*named})
    # as transformers chooses: safetensors where there are any
    yield from sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    yield from version_files("transformers")


def build(options: Options) -> TransformersEncoder:
    """Build the network with the weights of the folder. Raises `UserError` if that is not possible."""
    from workflow_scripts.networks.transformers import TransformersEncoder

    return TransformersEncoder(
        Path(options.path),
        layer=options.layer,
        sample_rate=options.sample_rate,
        seconds=options.seconds,
        trust_remote_code=options.trust_remote_code,
    )
