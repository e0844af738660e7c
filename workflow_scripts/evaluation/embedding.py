"""Clips through an encoder in evaluation mode: one embedding per clip, or per crop where it is evaluated by crops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.evaluation.crops import Crops
from workflow_scripts.networks.interfaces import Encoder

#: samples per batch by device type. PASE holds about 1 kB per sample while it runs: half a gigabyte on a laptop, 8 GB
#: on a GPU
MAX_BATCH_SAMPLES = {"cpu": 2**19, "cuda": 2**23}
#: a shorter clip is repeated up to this: reflection padding and frames need some samples to work on
MIN_SECONDS = 0.5


def read_samples(corpus: Corpus, row: int, *, start: int, length: int) -> np.ndarray:
    """Samples of a clip, float32 (length,); a clip that is too short is repeated (zeros would change the mean over
    time).
    """
    if start + length <= corpus.lengths[row]:
        return corpus.cut(row, start=start, length=length)
    return np.resize(corpus.cut(row), length)


def read_clips(corpus: Corpus, rows: np.ndarray, *, crop_length: int | None = None) -> np.ndarray:
    """Return the whole clips of `rows`, all equally long, float32 (rows, samples).

    With a `crop_length` as much of them as is whole crops.
    """
    length = int(_used_lengths(corpus, rows[:1], crop_length)[0])
    return np.stack([read_samples(corpus, int(row), start=0, length=length) for row in rows])


def group_by_length(
    corpus: Corpus, rows: np.ndarray, *, most_samples: int, crop_length: int | None = None
) -> list[np.ndarray]:
    """Group positions in `rows` so that clips of a batch are equally long and a batch of several holds at most
    `most_samples`.

    Equal lengths need no padding, so a clip's embedding does not depend on its company.
    """
    lengths = _used_lengths(corpus, rows, crop_length)
    batches: list[np.ndarray] = []
    for length in np.unique(lengths):
        positions = np.flatnonzero(lengths == length)
        size = max(1, most_samples // int(length))
        batches += [positions[first : first + size] for first in range(0, len(positions), size)]
    return batches


@torch.inference_mode()
def embed_clips(
    encoder: Encoder,
    corpus: Corpus,
    rows: np.ndarray,
    *,
    device: torch.device,
    most_samples: int | None = None,
    show: Callable[[list[np.ndarray]], Iterable[np.ndarray]] = iter,
) -> Tensor:
    """Embeddings (rows, pooled_size) of whole clips, float32 on `device`, in the order of `rows`.

    Of an encoder with a `crop_length` those of all crops of the clips, (crops, pooled_size), clip after clip as `Crops`
    tells.

    The encoder is put in evaluation mode: batch normalisation uses its stored statistics, which no clip changes. `show`
    is handed the batches and may report progress while it passes them on.
    """
    encoder.eval()
    most, crop_length = most_samples or MAX_BATCH_SAMPLES[device.type], encoder.crop_length
    batches = group_by_length(corpus, rows, most_samples=most, crop_length=crop_length)
    crops = Crops.of(corpus.lengths[rows], crop_length)
    embeddings = torch.empty(int(crops.offsets[-1]), encoder.pooled_size, device=device)
    for positions in show(batches):
        audio = torch.from_numpy(read_clips(corpus, rows[positions], crop_length=crop_length)).to(device)
        found = torch.cat([encoder.pool(encoder(part)).float() for part in _pieces(audio, crop_length, most)])
        embeddings[torch.from_numpy(crops.rows(positions)).to(device)] = found
    return embeddings


def _pieces(audio: Tensor, crop_length: int | None, most_samples: int) -> Sequence[Tensor]:
    """Audio as the encoder hears it: clips as they are, or their crops, so many at a time as memory holds."""
    if crop_length is None:
        return [audio]
    return audio.reshape(-1, crop_length).split(max(1, most_samples // crop_length))


def _used_lengths(corpus: Corpus, rows: np.ndarray, crop_length: int | None) -> np.ndarray:
    if crop_length is not None:
        return Crops.of(corpus.lengths[rows], crop_length).counts * crop_length
    return np.maximum(corpus.lengths[rows], int(MIN_SECONDS * corpus.facts.sample_rate))
