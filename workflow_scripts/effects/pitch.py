"""Pitch shift without change of tempo, by the method of SoX: change of speed, then stretch in time.

The stretch concatenates pieces of the audio (WSOLA, Verhelst and Roelands 1993). Each piece starts where, near its due
position, the audio is most similar to the continuation of the previous piece.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from workflow_scripts.effects.chain import Effect, scale_to_integers
from workflow_scripts.effects.fourier import fast_length
from workflow_scripts.effects.slices import slice_length

# Seconds, as in SoX.
PIECE = 0.082
SEARCH = 0.01468
OVERLAP = 0.012

# The cubic between samples is accurate to about half the band: twice the samples make it accurate for all of it.
OVERSAMPLING = 2


class RandomPitchShift(Effect):
    """Shifts the pitch by a uniformly drawn interval."""

    n_uniforms = 1

    def __init__(self, *, lowest: int, highest: int, sample_rate: int) -> None:
        """Draw intervals from `lowest` to `highest` cents, both included."""
        self.lowest, self.highest, self.sample_rate = lowest, highest, sample_rate

    def __call__(self, audio: Tensor, uniforms: Tensor) -> Tensor:
        """Return the transposed audio."""
        cents = scale_to_integers(uniforms[:, 0], low=self.lowest, high=self.highest)
        return shift_pitch(audio, cents=cents, sample_rate=self.sample_rate)


def shift_pitch(audio: Tensor, *, cents: Tensor, sample_rate: int) -> Tensor:
    """Raise the pitch of audio (batch, samples) by `cents` (batch,); its length stays.

    SoX's samples are integers, so what is or gets beyond -1 and 1 is cut off there.
    """
    ratios = 2 ** (cents.double() / 1200)
    played = change_speed(audio.clamp(-1, 1), ratios)
    return stretch_time(played, ratios, samples=audio.shape[-1], sample_rate=sample_rate).clamp_(-1, 1)


def change_speed(audio: Tensor, ratios: Tensor) -> Tensor:
    """Play audio (batch, samples) at `ratios` (batch,) times its speed.

    The result is as long as the slowest example; the others are padded with silence.
    """
    played = audio.new_zeros(len(audio), int(audio.shape[-1] / float(ratios.min())))
    # examples of similar lengths together, fewer at once since there are more samples
    for rows in ratios.argsort().split(-(-slice_length(audio) // OVERSAMPLING)):
        device_rows = rows.to(audio.device)
        part = _change_speed(audio[device_rows], ratios[rows])
        played[device_rows, : part.shape[-1]] = part
    return played


def _change_speed(audio: Tensor, ratios: Tensor) -> Tensor:
    fine = _oversample(audio, ratios)
    times = torch.arange(int(audio.shape[-1] / float(ratios.min())), device=audio.device, dtype=torch.float64)
    # in float64: beyond a million, float32 has no fractions
    positions = times * (OVERSAMPLING * ratios).to(audio.device)[:, None]
    positions.clamp_(max=fine.shape[-1])
    before = positions.long()
    return _interpolate(fine, before, positions.frac_().to(audio))


def stretch_time(audio: Tensor, ratios: Tensor, *, samples: int, sample_rate: int) -> Tensor:
    """Stretch audio (batch, any length), of which the first `samples / ratios` samples count, to `samples`."""
    piece, search, overlap = (round(seconds * sample_rate) for seconds in (PIECE, SEARCH, OVERLAP))
    step = piece - overlap
    # due positions (pieces, batch) at the original tempo, at most the last one that leaves room for a piece
    numbers = torch.arange(-(-samples // step))[:, None]
    last = (samples / ratios).long() - piece - search
    due = torch.minimum((numbers * step / ratios).long(), last).clamp(min=0).to(audio.device)
    # audio shorter than a piece is padded
    padded = functional.pad(audio, (0, piece + search))
    within = torch.arange(piece, device=audio.device)
    pieces = [padded.gather(1, due[0][:, None] + within)]
    similarity = _Similarity(padded, due, search=search, overlap=overlap)
    for number in range(1, len(due)):
        # start where the audio is most similar to the end of the previous piece
        starts = due[number] + similarity.best(number, pieces[-1][:, step:])
        pieces.append(padded.gather(1, starts[:, None] + within))
    return _crossfade(torch.stack(pieces, dim=1), overlap)[:, :samples]


def _oversample(audio: Tensor, ratios: Tensor) -> Tensor:
    """Return audio with `OVERSAMPLING` times the samples, without frequencies that would alias at a higher speed."""
    length = fast_length(audio.shape[-1])
    spectrum = torch.fft.rfft(audio, length, norm="forward")
    highest = (spectrum.shape[-1] / ratios.clamp(min=1)).to(audio.device)
    spectrum.masked_fill_(torch.arange(spectrum.shape[-1], device=audio.device) >= highest[:, None], 0)
    fine = torch.fft.irfft(spectrum, OVERSAMPLING * length, norm="forward")
    return fine[:, : OVERSAMPLING * audio.shape[-1]]


def _interpolate(audio: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Interpolate audio at positions (batch, positions) by the cubic through four samples.

    A position is the sample number `before` plus the fraction `after`. Beyond its end audio counts as silent.
    """
    padded = functional.pad(audio, (1, 3))
    first, second, third, fourth = (padded[:, number:].gather(1, before) for number in range(4))
    # Catmull-Rom: slopes at the inner samples are those between their neighbours
    slope = (third - first).mul_(0.5)
    twist = (second - third).mul_(1.5).add_(fourth, alpha=0.5).sub_(first, alpha=0.5)
    bend = (third - second).sub_(slope).sub_(twist)  # so that the cubic reaches the third sample
    return twist.mul_(after).add_(bend).mul_(after).add_(slope).mul_(after).add_(second)


class _Similarity:
    """Search for the start, near each due position, from which the audio is most similar to a target.

    All that does not depend on the target is computed at once for all positions.
    """

    def __init__(self, audio: Tensor, due: Tensor, *, search: int, overlap: int) -> None:
        """Prepare a search in the `search` samples from each of the positions `due` (pieces, batch) on."""
        near = due.T[:, :, None] + torch.arange(search + overlap, device=audio.device)
        windows = audio.gather(1, near.flatten(1)).view_as(near)
        self.length = fast_length(search + overlap)
        self.spectra = torch.fft.rfft(windows, self.length)
        sums = functional.pad((windows * windows).cumsum(dim=-1), (1, 0))
        self.halves = (sums[..., overlap:] - sums[..., : search + 1]) / 2

    def best(self, number: int, target: Tensor) -> Tensor:
        """Return the samples (batch,) after position `number` at which squared differences from `target` are least.

        `target` (batch, overlap). |x - target|^2 / 2 = |x|^2 / 2 - x . target + a constant, which is left out.
        """
        halves = self.halves[:, number]
        spectrum = torch.fft.rfft(target, self.length).conj_physical_().mul_(self.spectra[:, number])
        products = torch.fft.irfft(spectrum, self.length)[:, : halves.shape[-1]]
        return (halves - products).argmin(dim=-1)


def _crossfade(pieces: Tensor, overlap: int) -> Tensor:
    """Concatenate pieces (batch, pieces, samples), each crossfaded into the next, to (batch, samples)."""
    rise = torch.arange(1, overlap + 1, device=pieces.device) / (overlap + 1)
    bodies = pieces[:, :, :-overlap].clone()
    bodies[:, 1:, :overlap] *= rise
    bodies[:, 1:, :overlap] += pieces[:, :-1, -overlap:] * (1 - rise)
    return bodies.flatten(1)
