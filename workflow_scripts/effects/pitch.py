"""Pitch shift without change of tempo, as SoX does it: play at another speed, then stretch in time.

The stretch puts pieces of the audio one after the other (WSOLA, Verhelst and Roelands 1993). Each piece starts where,
near the place at which it is due, the audio is most like what would have followed the piece before.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from workflow_scripts.effects.fourier import fast_length
from workflow_scripts.effects.slices import slice_length

# seconds, as in SoX
PIECE = 0.082
SEARCH = 0.01468
OVERLAP = 0.012

OVERSAMPLING = 2  # the cubic between samples is good to about half the band: twice the samples make it good for all


def shifted(audio: Tensor, *, cents: Tensor, sample_rate: int) -> Tensor:
    """Audio (batch, samples) at a pitch that is `cents` (batch,) higher, as long as before."""
    ratios = 2 ** (cents.double() / 1200)
    return stretched(faster(audio, ratios), ratios, samples=audio.shape[-1], sample_rate=sample_rate)


def faster(audio: Tensor, ratios: Tensor) -> Tensor:
    """Audio (batch, samples) played at `ratios` (batch,) times its speed.

    The result is as long as the slowest needs; behind their ends the others go on with silence.
    """
    played = audio.new_zeros(len(audio), int(audio.shape[-1] / float(ratios.min())))
    # those of like lengths together, fewer at once since there are more samples
    for rows in ratios.argsort().split(-(-slice_length(audio) // OVERSAMPLING)):
        some = rows.to(audio.device)
        part = _faster(audio[some], ratios[rows])
        played[some, : part.shape[-1]] = part
    return played


def _faster(audio: Tensor, ratios: Tensor) -> Tensor:
    fine = _oversampled(audio, ratios)
    times = torch.arange(int(audio.shape[-1] / float(ratios.min())), device=audio.device, dtype=torch.float64)
    places = times * (OVERSAMPLING * ratios).to(audio.device)[:, None]  # beyond a million, float32 has no fractions
    places.clamp_(max=fine.shape[-1])
    before = places.long()
    return _cubic(fine, before, places.frac_().to(audio))


def stretched(audio: Tensor, ratios: Tensor, *, samples: int, sample_rate: int) -> Tensor:
    """Audio (batch, any length), of which the first `samples / ratios` samples count, stretched to `samples`."""
    piece, search, overlap = (round(seconds * sample_rate) for seconds in (PIECE, SEARCH, OVERLAP))
    step = piece - overlap
    numbers = torch.arange(-(-samples // step))[:, None]
    last = (samples / ratios).long() - piece - search  # the last place at which a piece can be due
    due = torch.minimum((numbers * step / ratios).long(), last).clamp(min=0).to(audio.device)  # (pieces, batch)
    padded = functional.pad(audio, (0, piece + search))  # for audio shorter than that
    within = torch.arange(piece, device=audio.device)
    pieces = [padded.gather(1, due[0][:, None] + within)]
    likeness = _Likeness(padded, due, search=search, overlap=overlap)
    for number in range(1, len(due)):
        found = due[number] + likeness.best(number, pieces[-1][:, step:])
        pieces.append(padded.gather(1, found[:, None] + within))
    return _faded(torch.stack(pieces, dim=1), overlap)[:, :samples]


def _oversampled(audio: Tensor, ratios: Tensor) -> Tensor:
    """Audio with `OVERSAMPLING` times the samples and without what would fold back at a higher speed."""
    length = fast_length(audio.shape[-1])
    spectrum = torch.fft.rfft(audio, length, norm="forward")
    highest = (spectrum.shape[-1] / ratios.clamp(min=1)).to(audio.device)
    spectrum.masked_fill_(torch.arange(spectrum.shape[-1], device=audio.device) >= highest[:, None], 0)
    fine = torch.fft.irfft(spectrum, OVERSAMPLING * length, norm="forward")
    return fine[:, : OVERSAMPLING * audio.shape[-1]]


def _cubic(audio: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Values (batch, places) between samples, `after` a sample and below the next: the cubic through four samples.

    Beyond its end audio counts as silent.
    """
    padded = functional.pad(audio, (1, 3))
    first, second, third, fourth = (padded[:, number:].gather(1, before) for number in range(4))
    # Catmull-Rom: slopes at the inner samples are those between their neighbours
    slope = (third - first).mul_(0.5)
    twist = (second - third).mul_(1.5).add_(fourth, alpha=0.5).sub_(first, alpha=0.5)
    bend = (third - second).sub_(slope).sub_(twist)  # so that the cubic reaches the third sample
    return twist.mul_(after).add_(bend).mul_(after).add_(slope).mul_(after).add_(second)


class _Likeness:
    """Where, near each place at which a piece is due, the audio is like what is wanted.

    All that does not depend on what is wanted is computed at once for all places.
    """

    def __init__(self, audio: Tensor, due: Tensor, *, search: int, overlap: int) -> None:
        """Prepare a search in the `search` samples from each of the places `due` (pieces, batch) on."""
        near = due.T[:, :, None] + torch.arange(search + overlap, device=audio.device)
        windows = audio.gather(1, near.flatten(1)).view_as(near)
        self.length = fast_length(search + overlap)
        self.spectra = torch.fft.rfft(windows, self.length)
        sums = functional.pad((windows * windows).cumsum(dim=-1), (1, 0))
        self.halves = (sums[..., overlap:] - sums[..., : search + 1]) / 2

    def best(self, number: int, wanted: Tensor) -> Tensor:
        """Samples (batch,) after place `number` from which on squared differences from `wanted` are least.

        `wanted` (batch, overlap). The squares of what is wanted are the same everywhere and left out.
        """
        halves = self.halves[:, number]
        spectrum = torch.fft.rfft(wanted, self.length).conj_physical_().mul_(self.spectra[:, number])
        products = torch.fft.irfft(spectrum, self.length)[:, : halves.shape[-1]]
        return (halves - products).argmin(dim=-1)


def _faded(pieces: Tensor, overlap: int) -> Tensor:
    """Pieces (batch, pieces, samples), each faded into the next, one after the other (batch, samples)."""
    rise = torch.arange(1, overlap + 1, device=pieces.device) / (overlap + 1)
    bodies = pieces[:, :, :-overlap].clone()
    bodies[:, 1:, :overlap] *= rise
    bodies[:, 1:, :overlap] += pieces[:, :-1, -overlap:] * (1 - rise)
    return bodies.flatten(1)
