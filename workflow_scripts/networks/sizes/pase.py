"""Sizes of the blocks of PASE and PASE+ (`cfg/frontend/PASE.cfg` of the PASE code).

The defaults of the official class are another, smaller network.
"""

from __future__ import annotations

SAMPLE_RATE = 16000  # Hz
CHANNELS = (64, 64, 128, 128, 256, 256, 512, 512)
KERNELS = (251, 20, 11, 11, 11, 11, 11, 11)
STRIDES = (1, 10, 2, 1, 2, 1, 2, 2)
HOP = 160  # samples: product of the strides, 10 ms
MIN_SAMPLES = 471  # samples: with fewer, the last block gets no more frames than its reflection padding needs
