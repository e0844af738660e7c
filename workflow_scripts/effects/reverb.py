"""A room, as SoX's `reverb` makes it: Schroeder's network of combs and all-passes with the numbers of Freeverb.

The network is linear, so it is applied to spectra, and nothing recurs from sample to sample. Its response is longer
than any transform: audio is therefore made to decay on the way in and to grow again on the way out, whereby what comes
round from behind the transform's end fades.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from workflow_scripts.effects.fourier import fast_length

#: delays of Freeverb's combs and all-passes, in samples at 44.1 kHz
COMBS = (1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617)
ALL_PASSES = (225, 341, 441, 556)
FREEVERB_RATE = 44100  # Hz
ALL_PASS_FEEDBACK = 0.5
WET_GAIN = 0.015  # SoX's, for the sum of eight combs
FADE = 3000.0  # 70 dB for what comes round; float32's roundings, which grow by as much, stay as far below
LEAST_LOSS, GREATEST_LOSS = 0.02, 0.7  # per round of a comb, at reverberance 100 and 0


def reverberated(audio: Tensor, *, reverberance: Tensor, damping: Tensor, room: Tensor, sample_rate: int) -> Tensor:
    """Audio (batch, samples) and its reverberation, up to the end of the audio.

    `reverberance` (how long it lasts), `damping` (how much sooner high frequencies fade) and `room` (its size), each
    (batch,), go from 0 to 100 and mean what they mean in SoX. Where SoX makes two channels of one, this is the first.
    """
    length = fast_length(audio.shape[-1])
    growth = torch.linspace(0, math.log(FADE), length + 1, device=audio.device)[: audio.shape[-1]].exp()
    spectrum = torch.fft.rfft(audio / growth, length)
    spectrum *= _response(
        length,
        feedback=feedbacks(reverberance).to(audio),
        dullness=(0.2 + 0.3 * damping / 100).to(audio),
        size=((0.1 + 0.9 * room / 100) * sample_rate / FREEVERB_RATE).to(audio.device),
    )
    return torch.fft.irfft(spectrum, length)[:, : audio.shape[-1]].mul_(growth)


def feedbacks(reverberance: Tensor) -> Tensor:
    """What each comb gives back of what it got, from 0.3 to 0.98: equal steps change the loss by equal factors."""
    return 1 - GREATEST_LOSS * (LEAST_LOSS / GREATEST_LOSS) ** (reverberance.double() / 100)


def _response(length: int, *, feedback: Tensor, dullness: Tensor, size: Tensor) -> Tensor:
    """What the room makes of each bin of decaying audio, complex (batch, length // 2 + 1).

    In z: the sum over the combs 1 / (z^L - q), q = feedback (1 - dullness) / (1 - dullness z^-1), times the product
    over the all-passes (1 + g - z^L) / (z^L - g) = 1 / (z^L - g) - 1.
    """
    bins = length // 2 + 1
    coarse, fine = _powers(-torch.ones_like(size), length)
    pole = dullness[:, None, None] * coarse * fine
    # everywhere reciprocals: divisions by complex numbers take a CPU eight times as long
    taken = (1 - pole).reciprocal_().mul_((feedback * (dullness - 1))[:, None, None])  # -q
    room = torch.zeros_like(taken)
    for delay in COMBS:
        room += torch.addcmul(taken, *_powers(_samples(delay, size), length)).reciprocal_()
    gain = torch.full_like(taken[:1, :1, :1], -ALL_PASS_FEEDBACK)
    for delay in ALL_PASSES:
        room *= torch.addcmul(gain, *_powers(_samples(delay, size), length)).reciprocal_().sub_(1)
    return room.mul_(WET_GAIN).add_(1).flatten(1)[:, :bins]


def _samples(delay: int, size: Tensor) -> Tensor:
    return (delay * size).round().clamp(min=1)


def _powers(exponents: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Powers of z, by `exponents` (batch,), for each bin and a few more, as two factors, complex64.

    With bin = row * columns + column they are (batch, rows, 1) and (batch, 1, columns): one multiplication a bin
    instead of a sine and a cosine.
    """
    columns = math.isqrt(length // 2) + 1
    numbers = torch.arange(columns, device=exponents.device)
    angles = exponents.double()[:, None] * numbers * (2 * math.pi / length)
    grown = (exponents.double() * math.log(FADE) / length).exp()[:, None].expand_as(angles)
    fine = torch.polar(grown, angles).to(torch.complex64)
    coarse = torch.polar(torch.ones_like(angles), angles * columns).to(torch.complex64)
    return coarse[:, :, None], fine[:, None, :]
