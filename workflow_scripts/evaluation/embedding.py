"""Embeddings of clips by an encoder in evaluation mode: one per clip, or per crop if the encoder has a crop length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.evaluation.crops import Crops
from workflow_scripts.networks.interfaces import Encoder

#: samples per batch, by device type; PASE needs about 1 kB of memory per sample: 0.5 GB on a CPU, 8 GB on a GPU
MAX_BATCH_SAMPLES = {"cpu": 2**19, "cuda": 2**23}
#: shorter clips are repeated up to this duration: reflection padding and framing need some samples
MIN_SECONDS = 0.5


def read_samples(corpus: Corpus, row: int, *, start: int, length: int) -> np.ndarray:
    """Read samples of a clip, float32 (length,); a clip that is too short is repeated.

    Zero-padding would change the mean over time.
    """
    if start + length <= corpus.lengths[row]:
        return corpus.cut(row, start=start, length=length)
    return np.resize(corpus.cut(row), length)


def read_clips(corpus: Corpus, rows: np.ndarray, *, crop_length: int | None = None) -> np.ndarray:
    """Read the whole clips of `rows`, all equally long, float32 (rows, samples).

    With a `crop_length`, the remainder after the last whole crop is dropped.
    """
    length = int(
        used_lengths(corpus.lengths[rows[:1]], sample_rate=corpus.facts.sample_rate, crop_length=crop_length)[0]
    )
    return np.stack([read_samples(corpus, int(row), start=0, length=length) for row in rows])


def group_by_length(
    corpus: Corpus, rows: np.ndarray, *, max_samples: int, crop_length: int | None = None
) -> list[np.ndarray]:
    """Group positions in `rows` into batches of equally long clips of at most `max_samples`, or single longer clips.

    Equal lengths need no padding, so the embedding of a clip does not depend on the other clips of its batch.
    """
    lengths = used_lengths(corpus.lengths[rows], sample_rate=corpus.facts.sample_rate, crop_length=crop_length)
    batches: list[np.ndarray] = []
    for length in np.unique(lengths):
        positions = np.flatnonzero(lengths == length)
        size = max(1, max_samples // int(length))
        batches += [positions[first : first + size] for first in range(0, len(positions), size)]
    return batches


@torch.inference_mode()
def embed_clips(
    encoder: Encoder,
    corpus: Corpus,
    rows: np.ndarray,
    *,
    device: torch.device,
    max_samples: int | None = None,
    progress: Callable[[list[np.ndarray]], Iterable[np.ndarray]] = iter,
) -> Tensor:
    """Compute embeddings (rows, pooled_size) of whole clips, float32 on `device`, in the order of `rows`.

    For an encoder with a `crop_length`, returns those of all crops of the clips, (crops, pooled_size), in the order of
    `Crops.rows`.

    The encoder is put in evaluation mode: batch normalisation uses its stored statistics, which no clip changes.
    `progress` wraps the list of batches and may report progress while it yields them.
    """
    encoder.eval()
    max_samples, crop_length = max_samples or MAX_BATCH_SAMPLES[device.type], encoder.crop_length
    batches = group_by_length(corpus, rows, max_samples=max_samples, crop_length=crop_length)
    crops = Crops.from_lengths(corpus.lengths[rows], crop_length)
    embeddings = torch.empty(int(crops.offsets[-1]), encoder.pooled_size, device=device)
    for positions in progress(batches):
        audio = torch.from_numpy(read_clips(corpus, rows[positions], crop_length=crop_length)).to(device)
        inputs = split_inputs(audio, crop_length, max_samples)
        pooled = torch.cat([encoder.pool(encoder(part)).float() for part in inputs])
        embeddings[torch.from_numpy(crops.rows(positions)).to(device)] = pooled
    return embeddings


def split_inputs(audio: Tensor, crop_length: int | None, max_samples: int) -> Sequence[Tensor]:
    """Split audio (clips, samples) into inputs of the encoder: whole clips, or crops, as many as fit into memory."""
    if crop_length is None:
        return [audio]
    return audio.reshape(-1, crop_length).split(max(1, max_samples // crop_length))


def used_lengths(lengths: np.ndarray, *, sample_rate: int, crop_length: int | None) -> np.ndarray:
    """Return the samples that are encoded of clips of `lengths`: those of whole crops, or all, but at least some."""
    if crop_length is not None:
        return Crops.from_lengths(lengths, crop_length).counts * crop_length
    return np.maximum(lengths, int(MIN_SECONDS * sample_rate))
