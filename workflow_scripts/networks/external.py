"""Base of encoders whose network is not part of Prelude: audio is cut into windows, each of which becomes one frame."""

from __future__ import annotations

import traceback
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.networks.sizes.external import MAX_SECONDS


class ExternalEncoder(Encoder):
    """An encoder of windows. Subclasses keep the network as a submodule, state its `name` and implement `encode`."""

    name: str  # in errors
    promises_gradients: bool = True  # False: without any it is a frozen encoder, no faulty one

    def __init__(self, *, sample_rate: int, seconds: float | None, size: int) -> None:
        """Take the network's rate in Hz, the seconds of its window, and the length of an embedding.

        With `seconds` null a clip is encoded whole, in equal pieces of at most 30 s; otherwise it is evaluated by crops
        of that length, so that no padding of the network's enters an embedding.
        """
        super().__init__()
        self.sample_rate, self.embedding_size = sample_rate, size
        self.hop = round((seconds or MAX_SECONDS) * sample_rate)
        self.crop_length = None if seconds is None else self.hop

    @abstractmethod
    def encode(self, windows: Tensor) -> Tensor:
        """Return the embeddings (windows, size) of windows of audio (windows, samples)."""

    def own_frames(self, windows: Tensor) -> tuple[Tensor, float] | None:  # noqa: ARG002 - for subclasses with frames
        """Return the network's own frames (windows, frames, size) and the seconds that it states from one to the next.

        None, as here, if it has no frames or states no such time.
        """
        return None

    def forward(self, audio: Tensor) -> Tensor:
        """Encode audio (batch, samples) to float32 frames (batch, size, windows).

        Raises `UserError` if the network returns another shape.
        """
        samples = audio.shape[-1]
        if self.crop_length is None:
            count = -(-samples // self.hop)
            length = samples // count
        else:
            count = max(1, samples // self.hop)
            length = min(samples, self.hop)
        windows = audio[:, : count * length].reshape(-1, length)
        # gradients need all at once, and training keeps its batches small; otherwise a long clip would take all memory
        at_once = len(windows) if torch.is_grad_enabled() else max(1, round(MAX_SECONDS * self.sample_rate) // length)
        with name_in_errors(self.name):
            embeddings = torch.cat([self.encode(part) for part in windows.split(at_once)])
        expected = (len(windows), self.embedding_size)
        if tuple(embeddings.shape) != expected:
            raise UserError(
                f"the network gives embeddings of shape {tuple(embeddings.shape)} for {len(windows)} windows, "
                f"not {expected}: correct its stated size or its output"
            )
        return embeddings.float().view(len(audio), count, -1).transpose(1, 2)

    def chunk_length(self, seconds: float) -> int:
        """Return the samples of a window where the network has one, else of a chunk of `seconds`."""
        return self.crop_length or round(seconds * self.sample_rate)


def require_rate(stated: int, actual: object) -> None:
    """Raise `UserError` unless the rate that a config states is the one that the network states."""
    if actual != stated:
        raise UserError(f"the network reads {actual} Hz, and the config states {stated} Hz: correct `sample_rate`")


@contextmanager
def name_in_errors(name: str) -> Iterator[None]:
    """Turn what a network that is not part of Prelude raises, which may be anything, into `UserError` of one line."""
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # a script that is not guarded by __main__ may end by itself
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = str(error) or f"{where.line} ({where.filename}, line {where.lineno})"  # as of an assert
        text = " ".join(f"{type(error).__name__}: {reason}".split())
        raise UserError(f"{name} cannot be used as an encoder: {text}") from error
