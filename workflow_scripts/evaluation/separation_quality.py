"""How well a pre-trained encoder separates the songs of a corpus, source by source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.audio import signal_distortion_ratio

from workflow_scripts.audio.corpus import FULL_SCALE, Corpus
from workflow_scripts.networks import spectrogram
from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.networks.sizes.spectrogram import BINS, HOP, frame_count, sample_count

ENERGY_FLOOR = 1e-15  # of an estimate's energy: far below what samples of 16 bits can tell
SEGMENT_FRAMES = 384  # of a song that the network hears at once, as in training


@dataclass(frozen=True, kw_only=True)
class SeparationQuality:
    """Ratios in dB of one source in one song: of its estimate, and of the mixture taken for an estimate."""

    clip: str
    source: str
    si_sdr: float
    si_sdr_of_mixture: float
    sdr: float
    sdr_of_mixture: float


@torch.inference_mode()
def separate(encoder: Encoder, audio: Tensor) -> Tensor:
    """Estimated sources (sources, samples) in audio (samples,), as long as the whole windows in it.

    The masks of consecutive segments are joined before the inverse transform, so the sound has no seams.
    """
    frames = frame_count(len(audio))
    masks = []
    for first in range(0, frames, SEGMENT_FRAMES):
        start = first * HOP
        segment = audio[start : start + sample_count(min(SEGMENT_FRAMES, frames - first))]
        masks.append(encoder(segment[None])[0, -encoder.separates * BINS :])
    mask = torch.cat(masks, dim=-1).unflatten(0, (encoder.separates, BINS)).transpose(1, 2)
    found = spectrogram.apply_masks(spectrogram.compute_stft(audio[None]), mask[None])
    return spectrogram.invert_stft(found[0])


def si_sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio in dB (...) of signals (..., samples).

    10 log10(|a s|^2 / |e - a s|^2) with the scale a = <e, s> / <s, s> (Le Roux et al. 2019, equation 5). An estimate
    without error, as of a song of one source, has 150 dB instead of infinity, one of silence -150 dB.
    """
    estimate, reference = estimate.double(), reference.double()
    scale = (estimate * reference).sum(-1, keepdim=True) / reference.square().sum(-1, keepdim=True)
    target = scale * reference
    energy = estimate.square().sum(-1)
    ratio = (target.square().sum(-1) + ENERGY_FLOOR * energy) / (
        (estimate - target).square().sum(-1) + ENERGY_FLOOR * energy
    )
    return 10 * torch.log10(torch.where(energy > 0, ratio, ENERGY_FLOOR))


def measure_separation(
    encoder: Encoder,
    corpus: Corpus,
    rows: np.ndarray,
    *,
    sources: Sequence[str],
    device: torch.device,
    show: Callable[[np.ndarray], Iterable[int]] = iter,
) -> list[SeparationQuality]:
    """Quality of each source in each of these songs in which it sounds, and in which something else does too.

    A source alone in its song is its own mixture: any estimate loses against that, without bound.

    SDR is that of BSS Eval, with a distortion filter of 512 taps, over the song as a whole (Vincent et al. 2006).
    """
    encoder.eval()
    found = []
    for row in show(rows):
        length, clip = int(corpus.lengths[row]), str(corpus.clips["clip"].iloc[row])
        mixture = torch.from_numpy(_read(corpus, row, length)).to(device)
        estimates = separate(encoder, mixture).cpu()
        heard = mixture[: estimates.shape[-1]].cpu()
        stems = {name: torch.from_numpy(_read(corpus, row, length, stem=name))[: len(heard)] for name in corpus.stems}
        sounding = {name for name, samples in stems.items() if samples.any()}
        for name, estimate in zip(sources, estimates, strict=True):
            if name not in sounding or len(sounding) == 1:
                continue
            reference = stems[name]
            both = (estimate, heard)
            scaled = [si_sdr(each, reference) for each in both]
            # one after the other: of several systems of equations at once MKL makes nonsense on more than one thread
            ratios = [signal_distortion_ratio(each.double(), reference.double()) for each in both]
            found.append(
                SeparationQuality(
                    clip=clip,
                    source=name,
                    si_sdr=float(scaled[0]),
                    si_sdr_of_mixture=float(scaled[1]),
                    sdr=float(ratios[0]),
                    sdr_of_mixture=float(ratios[1]),
                )
            )
    return found


def summarise(found: Sequence[SeparationQuality]) -> dict[str, dict[str, float]]:
    """By source: how many songs it was judged in, the mean over these of each ratio and its gain over the mixture."""
    by_source: dict[str, list[dict[str, float]]] = {}
    for one in found:
        numbers = {name: value for name, value in asdict(one).items() if isinstance(value, float)}
        gains = {f"{name}_gain": numbers[name] - numbers[f"{name}_of_mixture"] for name in ("si_sdr", "sdr")}
        by_source.setdefault(one.source, []).append(numbers | gains)
    return {
        source: {"songs": len(rows), **{name: float(np.mean([row[name] for row in rows])) for name in rows[0]}}
        for source, rows in by_source.items()
    }


def _read(corpus: Corpus, row: int, length: int, *, stem: str | None = None) -> np.ndarray:
    samples = np.zeros(length, np.int16)
    corpus.fill(samples, row=row, start=0, stem=stem)
    return samples.astype(np.float32) / FULL_SCALE
