"""An architecture of torchaudio.models (wav2vec 2.0, HuBERT, WavLM) with a file of its weights.

The weights are those that the bundles of torchaudio.pipelines name, such as `wav2vec2_fairseq_base_ls960.pth`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from workflow_scripts.encoders._external import (
    ExternalOptions,
    hop,  # noqa: F401 - member of the level
    require_path,
    sample_rate,  # noqa: F401 - member of the level
)

if TYPE_CHECKING:
    from workflow_scripts.networks.torchaudio_bundle import BundleEncoder

LABEL = "torchaudio model"
TRAINABLE = True
EXTERNAL = True
CLASSIFIER = "aux."  # prefix of the weights of a layer that this encoder does without


class Options(ExternalOptions):
    """Options of a torchaudio model; `path` is the file of its weights."""

    architecture: Literal[
        "wav2vec2_base",
        "wav2vec2_large",
        "wav2vec2_large_lv60k",
        "wav2vec2_xlsr_300m",
        "wav2vec2_xlsr_1b",
        "wav2vec2_xlsr_2b",
        "hubert_base",
        "hubert_large",
        "hubert_xlarge",
        "wavlm_base",
        "wavlm_large",
        "wav2vec2_model",
        "wavlm_model",
    ] = "wav2vec2_base"
    """Function of `torchaudio.models` that builds the network; the last two need all sizes as `arguments`."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Arguments of that function."""
    layer: int | Literal["weighted"] = -1
    """Output of the transformer's layer of this number, 1 the first, -1 the last; or `weighted`: all of them, one after
    the other, for the head `weighted_layers`."""


def content(options: Options) -> Iterator[Path]:
    """Yield the file of the weights. Raises `UserError` if none is stated."""
    yield require_path(options, "torchaudio_bundle")


def build(options: Options) -> BundleEncoder:
    """Build the network with the weights of the file. Raises `UserError` if they do not fit."""
    from workflow_scripts.checkpoints.weight_files import load_exactly, name_file_in_errors, read_checkpoint
    from workflow_scripts.networks.torchaudio_bundle import BundleEncoder

    encoder = BundleEncoder(
        options.architecture,
        arguments=options.arguments,
        layer=options.layer,
        sample_rate=options.sample_rate,
        seconds=options.seconds,
    )
    path = Path(options.path)
    published = read_checkpoint(path)
    # files of networks that were trained further to recognise speech hold its letters too
    weights = {key: value for key, value in published.state.items() if not key.startswith(CLASSIFIER)}
    with name_file_in_errors(path, f"imported as {options.architecture}"):
        load_exactly(encoder.network, replace(published, state=weights))
    return encoder
