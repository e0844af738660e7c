"""Sizes of musicnn (Pons and Serra 2019, "musicnn: pre-trained convolutional neural networks for music audio")."""

from __future__ import annotations

SAMPLE_RATE = 16000  # Hz
HOP = 256  # samples between two frames of the spectrogram
N_FFT = 512
MEL_BANDS = 96
WINDOW_FRAMES = 187  # of the spectrogram: the 3 seconds on which the published networks were trained
WINDOW = WINDOW_FRAMES * HOP  # samples
#: frames and bands of the filters that read timbre: they span 0.4 and 0.7 of the bands
TIMBRE_KERNELS = ((7, 38), (7, 67))
TIMBRE_FILTERS = 204  # of each kind
TEMPO_KERNELS = (128, 64, 32)  # frames of the filters that read rhythm, each in one band
TEMPO_FILTERS = 51  # of each kind
FRONT_CHANNELS = len(TIMBRE_KERNELS) * TIMBRE_FILTERS + len(TEMPO_KERNELS) * TEMPO_FILTERS
MIDDLE_LAYERS = 3
MIDDLE_KERNEL = 7  # frames
MIDDLE_FILTERS = 64
CHANNELS = FRONT_CHANNELS + MIDDLE_LAYERS * MIDDLE_FILTERS
PENULTIMATE = 200  # units of the layer before the tags
TAGS = 50
