"""Probabilities of a recording by a kept head on maps."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.core.errors import UserError
from workflow_scripts.evaluation.crops import Crops, average_predictions
from workflow_scripts.evaluation.embedding import MAX_BATCH_SAMPLES
from workflow_scripts.evaluation.losses import probabilities
from workflow_scripts.evaluation.trial_models import count_channels
from workflow_scripts.levels import registry
from workflow_scripts.networks.head_interfaces import MapsHead
from workflow_scripts.networks.magnitude import Magnitude
from workflow_scripts.networks.unet_encoder import UNetEncoder
from workflow_scripts.statistics.kept_heads import KeptHead


@torch.inference_mode()
def score_recording(kept: KeptHead, encoder: UNetEncoder | Magnitude, samples: np.ndarray) -> np.ndarray:
    """Compute probabilities (classes,), float32, of audio (samples,): the mean over windows that overlap by half.

    They are those that the head's trial gave a test clip. The encoder is on the CPU and in evaluation mode. Raises
    `UserError` if the head does not fit it.
    """
    head = _build_head(kept, encoder)
    windows = Crops.from_lengths(np.array([len(samples)]), head.samples, step=head.hop // 2)
    starts = head.hop // 2 * np.arange(windows.counts[0])
    # a recording that is shorter than a window is repeated, as a clip of a corpus is
    audio = samples if len(samples) >= head.samples else np.resize(samples, head.samples)
    size = max(1, MAX_BATCH_SAMPLES["cpu"] // head.samples)
    logits = [
        head(encoder.maps(_cut(audio, starts[first : first + size], head.samples))).float()
        for first in range(0, len(starts), size)
    ]
    return probabilities(kept.task, average_predictions(kept.task, torch.cat(logits), windows))[0].numpy()


def _cut(audio: np.ndarray, starts: np.ndarray, length: int) -> Tensor:
    return torch.from_numpy(np.stack([audio[start : start + length] for start in starts]))


def _build_head(kept: KeptHead, encoder: UNetEncoder | Magnitude) -> MapsHead:
    level = registry.load("head", kept.name)
    sources, decoder = count_channels(encoder)
    head: MapsHead = level.build(
        registry.options(level, kept.options), sources=sources, decoder=decoder, outputs=len(kept.classes)
    )
    try:
        head.load_state_dict({name: torch.from_numpy(value) for name, value in kept.tensors.items()})
    except RuntimeError as error:
        raise UserError(f"head {kept.name} does not fit {type(encoder).__name__}: evaluate again") from error
    return head.eval()
