"""Encoders from folders of Hugging Face's transformers."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks.external import ExternalEncoder, name_in_errors, require_rate
from workflow_scripts.networks.layers import LayerChoice, embed_layers

FRAME = 0.01  # seconds between the frames that AST's extractor counts
SHORTEST = 0.9  # of a padded window that audio must fill: AudioSet's 10 s in AST's 10.24 s, as it was trained
#: weights that only training with masks reads, which many published folders lack
MASKS = ("masked_spec_embed",)


class TransformersEncoder(ExternalEncoder):
    """Mean over the frames of a layer, or of all layers, of the audio network in a folder.

    Audio is normalised by the folder's own extractor. Training masks no parts of the input, so any length will do.
    """

    def __init__(
        self, path: Path, *, layer: LayerChoice, sample_rate: int, seconds: float | None, trust_remote_code: bool
    ) -> None:
        """Build the network with the folder's weights; raises `UserError` if they do not fit, or facts differ."""
        transformers = _import()
        if not path.is_dir():
            raise UserError(f"{path}: there is no such folder; transformers models are read from a local one")
        with name_in_errors(str(path)):
            stated: dict[str, Any] = {"local_files_only": True, "trust_remote_code": trust_remote_code}
            extractor = transformers.AutoFeatureExtractor.from_pretrained(path, **stated)
            network = _load(transformers, path, stated)
        if not hasattr(extractor, "sampling_rate"):
            raise UserError(f"{path}: the network reads no audio: its extractor states no sampling_rate")
        require_rate(sample_rate, extractor.sampling_rate)
        _require_window(extractor, seconds)
        size = _probe(network, extractor, layer=layer, seconds=seconds or 1.0, name=str(path))
        super().__init__(sample_rate=sample_rate, seconds=seconds, size=size)
        self.name, self.layer, self.extractor, self.network = str(path), layer, extractor, network

    def encode(self, windows: Tensor) -> Tensor:
        """Return the embedding of each window."""
        return _encode(self.network, self.extractor, windows, layer=self.layer)


def _encode(network: nn.Module, extractor: Any, windows: Tensor, *, layer: LayerChoice) -> Tensor:
    audio = list(windows.detach().float().cpu().numpy())
    inputs = extractor(audio, sampling_rate=extractor.sampling_rate, return_tensors="pt").to(windows.device)
    return embed_layers(network(**inputs, output_hidden_states=True).hidden_states, layer)


@torch.no_grad()
def _probe(network: nn.Module, extractor: Any, *, layer: LayerChoice, seconds: float, name: str) -> int:
    """Return the length of an embedding."""
    with name_in_errors(name):
        silence = torch.zeros(1, round(seconds * extractor.sampling_rate))
        return _encode(network, extractor, silence, layer=layer).shape[-1]


def _import() -> ModuleType:
    try:
        import transformers  # noqa: PLC0415 - optional
    except ImportError as error:
        raise UserError("encoder transformers needs the package transformers: pip install '.[transformers]'") from error
    transformers.utils.logging.disable_progress_bar()
    return transformers


def _load(transformers: ModuleType, path: Path, stated: dict[str, Any]) -> nn.Module:
    """Return the part of the folder's network that reads audio; `UserError` if the folder lacks weights of it."""
    config = transformers.AutoConfig.from_pretrained(path, **stated)
    config.apply_spec_augment = False  # its masks are drawn by numpy, unseeded, and fail for short crops
    whole, loading = transformers.AutoModel.from_pretrained(
        path, config=config, dtype=torch.float32, output_loading_info=True, **stated
    )
    network: nn.Module = whole.get_encoder() if config.is_encoder_decoder else getattr(whole, "audio_model", whole)
    used = {id(tensor) for tensor in network.parameters()}
    missing = sorted(
        name
        for name in loading["missing_keys"]
        if not name.endswith(MASKS) and id(dict(whole.named_parameters()).get(name)) in used
    )
    if missing:
        raise UserError(f"{path} lacks {len(missing)} weights of its network, first {missing[0]}: it is another one's")
    return network


def _require_window(extractor: Any, seconds: float | None) -> None:
    """Raise `UserError` if the extractor pads or cuts windows of so many seconds: padding would be in the mean."""
    window: float | None = getattr(extractor, "chunk_length", None)  # Whisper
    if window is None and hasattr(extractor, "max_length_s"):  # CLAP
        window = extractor.max_length_s
    if window is None and hasattr(extractor, "num_mel_bins") and hasattr(extractor, "max_length"):  # AST
        window = extractor.max_length * FRAME
    if window is not None and not (seconds and SHORTEST * window <= seconds <= window):
        raise UserError(f"the network reads windows of {window:g} s and pads shorter ones: state `seconds: {window:g}`")
