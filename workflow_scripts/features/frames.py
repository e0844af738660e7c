"""Frames on which all features are computed (Wu et al. 3.2)."""

from __future__ import annotations

HOP = 160  # samples: 10 ms at 16 kHz, the hop of the PASE encoder, so that targets and embeddings align
N_FFT = 2048  # samples: librosa's default analysis length, also used by Wu et al.


def frame_count(samples: int, *, hop: int = HOP) -> int:
    """Count the frames of a feature of `samples` samples: windows are centred on every hop, the first on sample 0."""
    return 1 + samples // hop
