"""Onsets of notes and their attack times, from the onset strength and the loudness of clips."""

from __future__ import annotations

import librosa
import numpy as np
import torch
from torch import Tensor

from workflow_scripts.features.frames import HOP

LONGEST_ATTACK = 1.0  # seconds; slower changes are crescendos, not attacks


def measure_notes(strength: Tensor, loudness: Tensor, *, sample_rate: int) -> Tensor:
    """Measure notes from onset strength and loudness (clips, frames): float32 (clips, 2, frames).

    The first channel is 1 where `librosa.onset.onset_detect` finds an onset; the second is its attack time in seconds:
    from the last minimum of the loudness before the onset to its maximum before the next one.
    """
    notes = [
        _measure_clip(*clip, sample_rate=sample_rate)
        for clip in zip(strength.cpu().numpy(), loudness.cpu().numpy(), strict=True)
    ]
    return torch.from_numpy(np.stack(notes)).to(strength.device)


def _measure_clip(strength: np.ndarray, loudness: np.ndarray, *, sample_rate: int) -> np.ndarray:
    notes = np.zeros((2, len(strength)), np.float32)
    onsets = librosa.onset.onset_detect(onset_envelope=strength, sr=sample_rate, hop_length=HOP)
    if not len(onsets):
        return notes
    starts = librosa.onset.onset_backtrack(onsets, loudness)
    longest = int(LONGEST_ATTACK * sample_rate / HOP)
    ends = np.minimum([*onsets[1:], len(strength)], onsets + longest)
    peaks = [
        onset + int(loudness[onset : max(end, onset + 1)].argmax()) for onset, end in zip(onsets, ends, strict=True)
    ]
    notes[0, onsets] = 1
    notes[1, onsets] = np.minimum(np.array(peaks) - starts, longest) * HOP / sample_rate
    return notes
