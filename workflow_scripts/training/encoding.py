"""Clips through an encoder in evaluation mode: one embedding per clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.errors import UserError
from workflow_scripts.training.shapes import Encoder

#: samples per batch by device type. PASE holds about 1 kB per sample while it runs: half a gigabyte on a laptop, 8 GB
#: on a GPU
MOST_SAMPLES = {"cpu": 2**19, "cuda": 2**23}
#: a shorter clip is repeated up to this: reflection padding and frames need some samples to work on
SHORTEST_SECONDS = 0.5


def check_rate(encoder: Encoder, corpus: Corpus) -> None:
    """Raise `UserError` unless the corpus was prepared at the encoder's sample rate."""
    if encoder.sample_rate != corpus.facts.sample_rate:
        raise UserError(
            f"{corpus.folder} is at {corpus.facts.sample_rate} Hz and the encoder reads {encoder.sample_rate} Hz: "
            f"prepare {corpus.facts.dataset} at {encoder.sample_rate} Hz"
        )


def read(corpus: Corpus, row: int, *, start: int, length: int) -> np.ndarray:
    """Samples of a clip, float32 (length,); a clip that is too short is repeated (zeros would change the mean over
    time).
    """
    if start + length <= corpus.lengths[row]:
        return corpus.cut(row, start=start, length=length)
    return np.resize(corpus.cut(row), length)


def whole(corpus: Corpus, rows: np.ndarray) -> np.ndarray:
    """Return the whole clips of `rows`, all equally long, float32 (rows, samples)."""
    length = int(_used_lengths(corpus, rows[:1])[0])
    return np.stack([read(corpus, int(row), start=0, length=length) for row in rows])


def equal_length_batches(corpus: Corpus, rows: np.ndarray, *, most_samples: int) -> list[np.ndarray]:
    """Group positions in `rows` so that clips of a batch are equally long and a batch of several holds at most
    `most_samples`.

    Equal lengths need no padding, so a clip's embedding does not depend on its company.
    """
    lengths = _used_lengths(corpus, rows)
    batches: list[np.ndarray] = []
    for length in np.unique(lengths):
        positions = np.flatnonzero(lengths == length)
        size = max(1, most_samples // int(length))
        batches += [positions[first : first + size] for first in range(0, len(positions), size)]
    return batches


@torch.inference_mode()
def embed_rows(
    encoder: Encoder,
    corpus: Corpus,
    rows: np.ndarray,
    *,
    device: torch.device,
    most_samples: int | None = None,
    show: Callable[[list[np.ndarray]], Iterable[np.ndarray]] = iter,
) -> Tensor:
    """Embeddings (rows, pooled_size) of whole clips, float32 on `device`, in the order of `rows`.

    The encoder is put in evaluation mode: batch normalisation uses its stored statistics, which no clip changes. `show`
    is handed the batches and may report progress while it passes them on.
    """
    encoder.eval()
    batches = equal_length_batches(corpus, rows, most_samples=most_samples or MOST_SAMPLES[device.type])
    embeddings = torch.empty(len(rows), encoder.pooled_size, device=device)
    for positions in show(batches):
        audio = torch.from_numpy(whole(corpus, rows[positions])).to(device)
        embeddings[torch.from_numpy(positions).to(device)] = encoder.pool(encoder(audio)).float()
    return embeddings


def _used_lengths(corpus: Corpus, rows: np.ndarray) -> np.ndarray:
    return np.maximum(corpus.lengths[rows], int(SHORTEST_SECONDS * corpus.facts.sample_rate))
