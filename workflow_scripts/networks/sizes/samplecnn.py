"""Sizes of SampleCNN at four sample rates (Lee et al. 2018; Spijkervet 2021, sections 3.3 and 5.1.3).

The thesis misprints its Table 5.1: one 3 is missing in two rows, and 43470 should read 43740, the product of the sizes.
"""

from __future__ import annotations

from math import prod

STEM = 3  # kernel and stride of the first convolution
#: sample rate in Hz -> kernel and pooling size of each of the nine blocks after it (the CLMR code)
POOLING = {
    22050: (3, 3, 3, 3, 3, 3, 3, 3, 3),
    16000: (3, 3, 3, 3, 3, 3, 5, 2, 2),
    12000: (3, 3, 3, 3, 2, 4, 4, 2, 2),  # not in the thesis; from modules/sample_cnn_12000.py
    8000: (3, 3, 3, 2, 2, 4, 4, 2, 2),
}
CHANNELS = (128, 128, 128, 256, 256, 256, 256, 256, 256, 512, 512)  # the code's eleven, not the thesis's ten


def window(sample_rate: int) -> int:
    """Return the samples that become one frame: 59049 at 22050 Hz."""
    return STEM * prod(POOLING[sample_rate])
