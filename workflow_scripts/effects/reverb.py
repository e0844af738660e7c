"""Reverberation of a room as in SoX's `reverb`: Schroeder's network of combs and all-passes with Freeverb's numbers.

The network is linear, so it is applied to spectra, without recursion from sample to sample. Its response is longer than
any transform: an exponential decay is therefore imposed on the audio before the transform and compensated after it,
which attenuates the part of the response that wraps around.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from workflow_scripts.effects.chain import Effect, scale_to_integers
from workflow_scripts.effects.fourier import fast_length

#: delays of Freeverb's combs and all-passes, in samples at 44.1 kHz
COMBS = (1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617)
ALL_PASSES = (225, 341, 441, 556)
FREEVERB_RATE = 44100  # Hz
ALL_PASS_FEEDBACK = 0.5
WET_GAIN = 0.015  # SoX's, for the sum of eight combs
# Attenuation, 70 dB, of the part that wraps around; float32's rounding errors are amplified by as much and stay below.
FADE = 3000.0
MIN_LOSS, MAX_LOSS = 0.02, 0.7  # per round of a comb, at reverberance 100 and 0


class RandomReverb(Effect):
    """Adds the reverberation of a room whose properties are uniformly drawn."""

    n_uniforms = 3

    def __init__(self, *, highest: int, sample_rate: int) -> None:
        """Draw room size, reverberance and damping from the integers from 0 to `highest`."""
        self.highest, self.sample_rate = highest, sample_rate

    def __call__(self, audio: Tensor, uniforms: Tensor) -> Tensor:
        """Return the audio with reverberation."""
        room, reverberance, damping = scale_to_integers(uniforms, low=0, high=self.highest).unbind(dim=1)
        return add_reverb(audio, reverberance=reverberance, damping=damping, room=room, sample_rate=self.sample_rate)


def add_reverb(audio: Tensor, *, reverberance: Tensor, damping: Tensor, room: Tensor, sample_rate: int) -> Tensor:
    """Add its reverberation to audio (batch, samples), up to the end of the audio.

    `reverberance` (its duration), `damping` (how much sooner high frequencies fade) and `room` (the room's size), each
    (batch,), go from 0 to 100 with the meaning of SoX. Where SoX makes two channels of one, this is the first. SoX's
    samples are integers, so what is or gets beyond -1 and 1 is cut off there.
    """
    length = fast_length(audio.shape[-1])
    growth = torch.linspace(0, math.log(FADE), length + 1, device=audio.device)[: audio.shape[-1]].exp()
    spectrum = torch.fft.rfft(audio.clamp(-1, 1) / growth, length)
    spectrum *= _response(
        length,
        feedback=comb_feedback(reverberance).to(audio),
        dullness=(0.2 + 0.3 * damping / 100).to(audio),
        size=((0.1 + 0.9 * room / 100) * sample_rate / FREEVERB_RATE).to(audio.device),
    )
    return torch.fft.irfft(spectrum, length)[:, : audio.shape[-1]].mul_(growth).clamp_(-1, 1)


def comb_feedback(reverberance: Tensor) -> Tensor:
    """Return each comb's feedback, from 0.3 to 0.98: equal steps of reverberance change the loss by equal factors."""
    return 1 - MAX_LOSS * (MIN_LOSS / MAX_LOSS) ** (reverberance.double() / 100)


def _response(length: int, *, feedback: Tensor, dullness: Tensor, size: Tensor) -> Tensor:
    """Compute the frequency response of the room for decaying audio, complex (batch, length // 2 + 1).

    In z: the sum over the combs 1 / (z^L - q), q = feedback (1 - dullness) / (1 - dullness z^-1), times the product
    over the all-passes (1 + g - z^L) / (z^L - g) = 1 / (z^L - g) - 1.
    """
    bins = length // 2 + 1
    coarse, fine = _powers(-torch.ones_like(size), length)
    pole = dullness[:, None, None] * coarse * fine
    # everywhere reciprocals: divisions by complex numbers take a CPU eight times as long
    minus_q = (1 - pole).reciprocal_().mul_((feedback * (dullness - 1))[:, None, None])
    room = torch.zeros_like(minus_q)
    for delay in COMBS:
        room += torch.addcmul(minus_q, *_powers(_samples(delay, size), length)).reciprocal_()
    gain = torch.full_like(minus_q[:1, :1, :1], -ALL_PASS_FEEDBACK)
    for delay in ALL_PASSES:
        room *= torch.addcmul(gain, *_powers(_samples(delay, size), length)).reciprocal_().sub_(1)
    return room.mul_(WET_GAIN).add_(1).flatten(1)[:, :bins]


def _samples(delay: int, size: Tensor) -> Tensor:
    return (delay * size).round().clamp(min=1)


def _powers(exponents: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Compute powers of z, by `exponents` (batch,), for each bin and a few more, as two factors, complex64.

    With bin = row * columns + column they are (batch, rows, 1) and (batch, 1, columns): one multiplication per bin
    instead of a sine and a cosine.
    """
    columns = math.isqrt(length // 2) + 1
    numbers = torch.arange(columns, device=exponents.device)
    angles = exponents.double()[:, None] * numbers * (2 * math.pi / length)
    grown = (exponents.double() * math.log(FADE) / length).exp()[:, None].expand_as(angles)
    fine = torch.polar(grown, angles).to(torch.complex64)
    coarse = torch.polar(torch.ones_like(angles), angles * columns).to(torch.complex64)
    return coarse[:, :, None], fine[:, None, :]
