"""Encoders with an architecture of torchaudio.models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torchaudio
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.models import Wav2Vec2Model

from workflow_scripts.networks.external import ExternalEncoder, name_in_errors, require_rate
from workflow_scripts.networks.layers import LayerChoice, embed_layers

SAMPLE_RATE = 16000  # Hz: that of all these networks
PROBE_SECONDS = 1.0  # of silence, which shows the length of an embedding; a frame needs 25 ms


class BundleEncoder(ExternalEncoder):
    """Mean over the frames of a layer of the transformer, or of all layers.

    Audio is scaled to mean 0 and variance 1 for networks whose convolutions have layer normalisation, as the bundles of
    torchaudio.pipelines do it.
    """

    def __init__(
        self,
        architecture: str,
        *,
        arguments: Mapping[str, Any],
        layer: LayerChoice,
        sample_rate: int,
        seconds: float | None,
    ) -> None:
        """Build the network with weights from torch's global generator; `UserError` if arguments or facts are wrong."""
        require_rate(sample_rate, SAMPLE_RATE)
        with name_in_errors(architecture):
            network: Wav2Vec2Model = getattr(torchaudio.models, architecture)(**arguments).eval()
            with torch.no_grad():
                silence = torch.zeros(1, round(PROBE_SECONDS * sample_rate))
                size = embed_layers(network.extract_features(silence)[0], layer, first=1).shape[-1]
        normalises = not any(isinstance(part, nn.GroupNorm) for part in network.feature_extractor.modules())
        super().__init__(sample_rate=sample_rate, seconds=seconds, size=size)
        self.name, self.layer, self.normalises, self.network = architecture, layer, normalises, network

    def encode(self, windows: Tensor) -> Tensor:
        """Return the embedding of each window."""
        if self.normalises:
            windows = functional.layer_norm(windows, windows.shape[1:])
        return embed_layers(self.network.extract_features(windows)[0], self.layer, first=1)
