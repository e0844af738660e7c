"""Sizes of the CPC encoder (`modules/cpc` of the CLMR code's first version; Spijkervet 2021, section 5.2)."""

from __future__ import annotations

SAMPLE_RATE = 22050  # Hz
FILTERS = 512
CONTEXT = 256  # channels of the recurrent layer
KERNELS = (10, 6, 4, 4, 4, 2, 2)
STRIDES = (5, 3, 2, 2, 2, 2, 2)
PADDINGS = (2, 2, 2, 2, 1, 1, 1)
HOP = 480  # samples: product of the strides, 21.8 ms; the thesis states 490 and 5 ms, which its strides do not give
MIN_SAMPLES = HOP  # samples: with far fewer, a layer gets no frame
