"""Separation quality of a pre-trained encoder on the songs of a corpus, source by source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.audio.samples import FULL_SCALE
from workflow_scripts.networks import spectrogram
from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.networks.sizes.spectrogram import BINS, HOP, frame_count, sample_count

# share of the energy of an estimate, far below the resolution of 16-bit samples
ENERGY_FLOOR = 1e-15
# frames of a song that the network processes at once, as in training
SEGMENT_FRAMES = 384


@dataclass(frozen=True, kw_only=True)
class SeparationQuality:
    """Ratios in dB for one source in one song: of its estimate, and of the mixture used as an estimate."""

    clip: str
    source: str
    si_sdr: float
    si_sdr_of_mixture: float
    sdr: float
    sdr_of_mixture: float


@torch.inference_mode()
def separate(encoder: Encoder, audio: Tensor) -> Tensor:
    """Estimate the sources (sources, samples) of audio (samples,), for the length of the whole windows in it.

    The masks of consecutive segments are concatenated before the inverse transform, so the audio has no seams.
    """
    frames = frame_count(len(audio))
    masks = []
    for first in range(0, frames, SEGMENT_FRAMES):
        start = first * HOP
        segment = audio[start : start + sample_count(min(SEGMENT_FRAMES, frames - first))]
        masks.append(encoder(segment[None])[0, -encoder.separates * BINS :])
    mask = torch.cat(masks, dim=-1).unflatten(0, (encoder.separates, BINS)).transpose(1, 2)
    spectra = spectrogram.apply_masks(spectrogram.compute_stft(audio[None]), mask[None])
    return spectrogram.invert_stft(spectra[0])


def si_sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Compute the scale-invariant signal-to-distortion ratio in dB (...) of signals (..., samples).

    10 log10(|a s|^2 / |e - a s|^2) with the scale a = <e, s> / <s, s> (Le Roux et al. 2019, equation 5). An estimate
    without error, as for a song of one source, has 150 dB instead of infinity, a silent estimate -150 dB.
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
    progress: Callable[[np.ndarray], Iterable[int]] = iter,
) -> list[SeparationQuality]:
    """Measure the quality of each source in each of these songs, if it and another source are not silent there.

    A source alone in its song equals the mixture, so no estimate could be compared with the mixture.

    SDR is that of BSS Eval, with a distortion filter of 512 taps, over the song as a whole (Vincent et al. 2006).
    """
    from torchmetrics.functional.audio import signal_distortion_ratio  # noqa: PLC0415  (loads all metrics: seconds)

    encoder.eval()
    qualities = []
    for row in progress(rows):
        # separate the mixture of the song
        length, clip = int(corpus.lengths[row]), str(corpus.clips["clip"].iloc[row])
        mixture = torch.from_numpy(_read(corpus, row, length)).to(device)
        estimates = separate(encoder, mixture).cpu()
        # cut the references and the mixture to the length of the estimates
        mixture = mixture[: estimates.shape[-1]].cpu()
        stems = {name: torch.from_numpy(_read(corpus, row, length, stem=name))[: len(mixture)] for name in corpus.stems}
        audible = {name for name, samples in stems.items() if samples.any()}
        for name, estimate in zip(sources, estimates, strict=True):
            if name not in audible or len(audible) == 1:
                continue
            reference = stems[name]
            candidates = (estimate, mixture)
            si_sdrs = [si_sdr(candidate, reference) for candidate in candidates]
            # one at a time: MKL solves several systems of equations at once wrongly on more than one thread
            sdrs = [signal_distortion_ratio(candidate.double(), reference.double()) for candidate in candidates]
            qualities.append(
                SeparationQuality(
                    clip=clip,
                    source=name,
                    si_sdr=float(si_sdrs[0]),
                    si_sdr_of_mixture=float(si_sdrs[1]),
                    sdr=float(sdrs[0]),
                    sdr_of_mixture=float(sdrs[1]),
                )
            )
    return qualities


def summarise(qualities: Sequence[SeparationQuality]) -> dict[str, dict[str, float]]:
    """Average over songs, by source: number of songs, mean of each ratio and of its gain over the mixture."""
    by_source: dict[str, list[dict[str, float]]] = {}
    for quality in qualities:
        ratios = {name: value for name, value in asdict(quality).items() if isinstance(value, float)}
        gains = {f"{name}_gain": ratios[name] - ratios[f"{name}_of_mixture"] for name in ("si_sdr", "sdr")}
        by_source.setdefault(quality.source, []).append(ratios | gains)
    return {
        source: {"songs": len(songs), **{name: float(np.mean([song[name] for song in songs])) for name in songs[0]}}
        for source, songs in by_source.items()
    }


def _read(corpus: Corpus, row: int, length: int, *, stem: str | None = None) -> np.ndarray:
    samples = np.zeros(length, np.int16)
    corpus.fill(samples, row=row, start=0, stem=stem)
    return samples.astype(np.float32) / FULL_SCALE
