"""Sizes of the Short-Chunk CNN of Garoufis et al. (2024, section 2; `models.py` of the MSSPT code)."""

from __future__ import annotations

FRAMES = 384  # of a window: 3.86 s
CHANNELS_ALONE = (64, 64, 128, 128, 128, 128, 256)  # channels of the seven blocks
CHANNELS_JOINT = (64, 128, 128, 128, 128, 128, 256)  # of the code's first version, which reads maps of a U-Net
CONVOLUTIONS_PER_BLOCK = 2
POOLING = ((2, 2),) * 6 + ((3, 2),)  # of frames and bands; the seventh block is left 6 by 2
HIDDEN = 512  # outputs of the first dense layer
DENSE_LAYERS = 2
SKIPS = 5  # of the U-Net's six blocks up all but the finest, whose maps are as large as the spectrogram
