"""Sizes of the separation U-Net (Garoufis et al. 2024, section 2; `separators.py` of the MSSPT code)."""

from __future__ import annotations

CHANNELS = (16, 32, 64, 128, 192, 192)  # of the six blocks down; up the same in reverse
CONVOLUTIONS_PER_BLOCK = 2
LAST = 32  # channels of the block before the mask
SCALE = 2 ** len(CHANNELS)  # frames and bins come in multiples of this
FRAMES = 384  # of a crop: 3.862 s
MOMENTUM = 0.01  # of batch normalisation; Keras counts its 0.99 from the other end
