"""Embeddings of audio that is in no corpus, such as a recording of a user's, by the rules for clips of a corpus."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.evaluation.embedding import MAX_BATCH_SAMPLES, split_inputs, used_lengths
from workflow_scripts.networks.interfaces import Encoder


def fit_length(samples: np.ndarray, encoder: Encoder) -> np.ndarray:
    """Return audio (samples,) as an encoder evaluates it: repeated if it is too short, without the last part of a crop.

    So does `embedding.read_clips` with the clips of a corpus.
    """
    lengths = used_lengths(np.array([len(samples)]), sample_rate=encoder.sample_rate, crop_length=encoder.crop_length)
    length = int(lengths[0])
    return samples[:length] if length <= len(samples) else np.resize(samples, length)


@torch.inference_mode()
def embed_audio(encoder: Encoder, samples: np.ndarray) -> Tensor:
    """Compute embeddings (crops, pooled_size), float32, of audio (samples,); one if the encoder has no crop length.

    The encoder is on the CPU and in evaluation mode.
    """
    audio = torch.from_numpy(fit_length(samples, encoder))[None]
    parts = split_inputs(audio, encoder.crop_length, MAX_BATCH_SAMPLES["cpu"])
    return torch.cat([encoder.pool(encoder(part)).float() for part in parts])
