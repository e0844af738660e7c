"""Embeddings of audio that is in no corpus, such as a recording of a user's, by the rules for clips of a corpus."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.evaluation.crops import Crops
from workflow_scripts.evaluation.embedding import MAX_BATCH_SAMPLES, MIN_SECONDS
from workflow_scripts.networks.interfaces import Encoder


def fit_length(samples: np.ndarray, encoder: Encoder) -> np.ndarray:
    """Return audio (samples,) as an encoder evaluates it: repeated if it is too short, without the last part of a crop.

    So does `embedding.read_clips` with the clips of a corpus.
    """
    if encoder.crop_length is None:
        length = max(len(samples), int(MIN_SECONDS * encoder.sample_rate))
    else:
        crops = Crops.from_lengths(np.array([len(samples)]), encoder.crop_length)
        length = int(crops.counts[0]) * encoder.crop_length
    return samples[:length] if length <= len(samples) else np.resize(samples, length)


@torch.inference_mode()
def embed_audio(encoder: Encoder, samples: np.ndarray) -> Tensor:
    """Compute embeddings (crops, pooled_size), float32, of audio (samples,); one if the encoder has no crop length.

    The encoder is on the CPU and in evaluation mode.
    """
    audio = torch.from_numpy(fit_length(samples, encoder))[None]
    if encoder.crop_length is None:
        return encoder.pool(encoder(audio)).float()
    size = max(1, MAX_BATCH_SAMPLES["cpu"] // encoder.crop_length)
    parts = audio.reshape(-1, encoder.crop_length).split(size)
    return torch.cat([encoder.pool(encoder(part)).float() for part in parts])
