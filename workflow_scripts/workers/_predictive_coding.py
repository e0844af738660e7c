"""Worker that scores later frames against linear predictions by the InfoNCE loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from workflow_scripts.configuration.compatibility import require_context, require_prediction_span
from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import cpc
from workflow_scripts.networks.interfaces import Batch, Encoder, Worker
from workflow_scripts.pretraining import distributed

SEEDS = 2**31  # number of seeds that negatives and window are drawn with: all that fit into 31 bits


@dataclass(frozen=True, kw_only=True)
class Draws:
    """Random numbers of a loss: orders (negatives, all frames of all examples), and the window's first frame."""

    orders: Tensor
    first: int


class PredictiveCodingWorker(Worker):
    """Scores frames against a linear prediction for each step."""

    def __init__(
        self, *, steps: int, negatives: int, window: int, context: int, own_context: bool, embedding_size: int
    ) -> None:
        """Build the predictor; the arguments are those of `predictive_coding.Options`.

        Raises `UserError` if the encoder's frames cannot hold the context.
        """
        super().__init__()
        self.steps, self.negatives, self.window, self.context = steps, negatives, window, context
        self.autoregressor = cpc.Autoregressor(embedding_size, context) if own_context else None
        predicted = embedding_size if own_context else embedding_size - context
        if predicted < 1:
            raise UserError(
                f"predictive_coding: frames of {embedding_size} channels hold no context of {context}: "
                "set own_context, or context to the encoder's"
            )
        self.predictor = nn.Linear(context, predicted * steps, bias=False)

    def check(self, encoder: Encoder) -> None:
        """Raise `UserError` unless the encoder has the context that the worker reads."""
        if self.autoregressor is None:
            require_context(encoder.context_size, expected=self.context)

    def loss(self, frames: Tensor, batch: Batch) -> Tensor:  # noqa: ARG002 - one shape for all workers
        """Compute the InfoNCE loss of the batch, with newly drawn negatives and window."""
        require_prediction_span(frames.shape[-1], steps=self.steps)
        if self.autoregressor is None:
            latent, context = cpc.split_context(frames, self.context)
        else:
            latent, context = frames, self.autoregressor(frames)
        latent, context = latent.transpose(1, 2), context.transpose(1, 2)
        return self.info_nce(latent, context, self._draw(latent))

    def info_nce(self, latent: Tensor, context: Tensor, draws: Draws) -> Tensor:
        """Compute the mean over steps k and frames t of -log(exp(f_k(t + k)) / sum of exp(f_k)).

        f_k(i) = latent_i . W_k context_t. The sum is over the positive frame and the negatives, which may be the
        positive one too (as in the code). `latent` (examples, frames, size) and `context` (examples, frames, context)
        are those of this process; negatives come from all processes, the orders being over all examples' frames,
        example by example.
        """
        with torch.autocast(latent.device.type, enabled=False):
            latent, context = latent.float(), context.float()
            # frames of all processes, in an order for each negative: (negatives, frames of all examples, size)
            negatives = distributed.all_gather(latent.contiguous()).flatten(0, 1)[draws.orders]
            # the frames that take part
            window = slice(draws.first, draws.first + self.window)
            latent, context = latent[:, window], context[:, window]
            # one loss for each step k, with its own W_k
            losses = [
                _step_loss(context[:, :-step] @ weight.T, latent[:, step:], negatives)
                for step, weight in enumerate(self.predictor.weight.chunk(self.steps), start=1)
            ]
            return torch.stack(losses).mean()

    def _draw(self, latent: Tensor) -> Draws:
        """Draw negatives and window; processes draw alike, because the negatives of each are frames of all."""
        examples, frames, _ = latent.shape
        seed = distributed.broadcast_number(int(torch.randint(SEEDS, ())))
        generator = torch.Generator().manual_seed(seed)
        all_frames = distributed.world_size() * examples * frames
        orders = [torch.randperm(all_frames, generator=generator) for _ in range(self.negatives)]
        # the last possible window is left out, as in the code
        windows = max(1, frames - self.window)
        first = int(torch.randint(windows, (), generator=generator))
        return Draws(orders=torch.stack(orders).to(latent.device), first=first)


def _step_loss(predicted: Tensor, latent: Tensor, negatives: Tensor) -> Tensor:
    """Compute the cross-entropy of one step; `predicted` and `latent` (examples, frames, size) belong together.

    `negatives` (negatives, frames of all examples and processes, size) are taken from their end, as in the code: so no
    step needs an order of its own.
    """
    examples, frames, _ = predicted.shape
    # the negatives of this process's examples
    rows = distributed.world_size() * examples * frames
    by_example = negatives[:, -rows:].unflatten(1, (-1, frames))
    own = by_example[:, distributed.rank() * examples : (distributed.rank() + 1) * examples]
    # scores of the positive frame (1, examples, frames) and of the negatives (negatives, examples, frames)
    positive = (predicted * latent).sum(-1)[None]
    negative = (predicted * own).sum(-1)
    return -functional.log_softmax(torch.cat([positive, negative]), dim=0)[0].mean()
