"""Predictive coding: tell the frame that comes k frames later from random ones (Spijkervet 2021, section 5.2).

Contrastive predictive coding as in the CLMR code's first version: the context of the frames so far, from the encoder
`cpc`, predicts each of the next 20 frames, which lie within 435 ms (the thesis says 100 ms, from a hop that its strides
do not give).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from workflow_scripts.configuration.compatibility import require_context
from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import cpc
from workflow_scripts.networks.interfaces import Batch, Encoder, Worker
from workflow_scripts.networks.sizes.cpc import CONTEXT
from workflow_scripts.pretraining import distributed

PRECOMPUTED = False

LARGEST_SEED = 2**31


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of predictive coding.

    `steps`: how many later frames are predicted. `negatives`: random frames each is told apart from. `window`: how many
    frames of a chunk take part, from a random one on, to save time (81 in the code; negatives come from everywhere).
    `context`: size of the context, which must be the encoder's. `own_context`: put a recurrent layer of that size on an
    encoder that has none, and throw it away after training.
    """

    steps: int = 20
    negatives: int = 15
    window: int = 81
    context: int = CONTEXT
    own_context: bool = False

    def __post_init__(self) -> None:
        """Raise `UserError` for values that make no task."""
        if min(self.steps, self.negatives, self.context) < 1:
            raise UserError("predictive_coding: steps, negatives and context must be at least 1")
        if self.window <= self.steps:
            raise UserError(
                f"predictive_coding: a window of {self.window} frames has none {self.steps} steps ahead: "
                "choose fewer steps"
            )


def require_chunk(options: Options, *, frames: int) -> None:
    """Raise `UserError` if no frame of a chunk has one `steps` later."""
    if frames <= options.steps:
        raise UserError(
            f"predictive_coding predicts {options.steps} frames ahead and a chunk has {frames}: "
            "choose longer chunks, or an encoder with more frames"
        )


@dataclass(frozen=True, kw_only=True)
class Draws:
    """What is random in a loss: orders (negatives, all frames of all examples), and the window's first frame."""

    orders: Tensor
    first: int


class PredictiveCodingWorker(Worker):
    """Scores frames against a linear prediction for each step."""

    def __init__(self, options: Options, *, embedding_size: int) -> None:
        """Build the predictor."""
        super().__init__()
        self.options = options
        self.autoregressor = cpc.Autoregressor(embedding_size, options.context) if options.own_context else None
        predicted = embedding_size if options.own_context else embedding_size - options.context
        if predicted < 1:
            raise UserError(
                f"predictive_coding: frames of {embedding_size} channels hold no context of {options.context}: "
                "set own_context, or context to the encoder's"
            )
        self.predictor = nn.Linear(options.context, predicted * options.steps, bias=False)

    def check(self, encoder: Encoder) -> None:
        """Raise `UserError` unless the encoder's context is as the options say."""
        if not self.options.own_context:
            require_context(encoder.context_size, wanted=self.options.context)

    def loss(self, frames: Tensor, batch: Batch) -> Tensor:  # noqa: ARG002 - one shape for all workers
        """InfoNCE loss of the batch, with newly drawn negatives and window."""
        require_chunk(self.options, frames=frames.shape[-1])
        if self.autoregressor is None:
            latent, context = cpc.split(frames, self.options.context)
        else:
            latent, context = frames, self.autoregressor(frames)
        latent, context = latent.transpose(1, 2), context.transpose(1, 2)
        return self.info_nce(latent, context, self._draws(latent))

    def info_nce(self, latent: Tensor, context: Tensor, draws: Draws) -> Tensor:
        """Mean over steps k and frames t of -log(exp(f_k(t + k)) / sum of exp(f_k)), f_k(i) = latent_i . W_k context_t.

        The sum is over the right frame and the negatives, which may be the right one too (as in the code).
        `latent` (examples, frames, size) and `context` (examples, frames, context) of this process; negatives come from
        all of them, the orders being over all examples' frames, example by example.
        """
        with torch.autocast(latent.device.type, enabled=False):
            latent, context = latent.float(), context.float()
            negatives = distributed.all_gather(latent.contiguous()).flatten(0, 1)[draws.orders]
            window = slice(draws.first, draws.first + self.options.window)
            latent, context = latent[:, window], context[:, window]
            losses = [
                _loss(context[:, :-step] @ weight.T, latent[:, step:], negatives)
                for step, weight in enumerate(self.predictor.weight.chunk(self.options.steps), start=1)
            ]
            return torch.stack(losses).mean()

    def _draws(self, latent: Tensor) -> Draws:
        examples, frames, _ = latent.shape
        # processes draw alike, for the negatives of each are frames of all
        seed = distributed.broadcast_number(int(torch.randint(LARGEST_SEED, ())))
        generator = torch.Generator().manual_seed(seed)
        orders = [
            torch.randperm(distributed.world_size() * examples * frames, generator=generator)
            for _ in range(self.options.negatives)
        ]
        room = max(1, frames - self.options.window)  # the last possible window is left out, as in the code
        first = int(torch.randint(room, (), generator=generator))
        return Draws(orders=torch.stack(orders).to(latent.device), first=first)


def _loss(predicted: Tensor, latent: Tensor, negatives: Tensor) -> Tensor:
    """Cross-entropy of one step; `predicted` and `latent` (examples, frames, size) belong together.

    `negatives` (negatives, frames of all examples and processes, size) are taken from their end, as in the code: so no
    step needs an order of its own.
    """
    examples, frames, _ = predicted.shape
    rows = distributed.world_size() * examples * frames
    by_example = negatives[:, -rows:].unflatten(1, (-1, frames))
    own = by_example[:, distributed.rank() * examples : (distributed.rank() + 1) * examples]
    right = (predicted * latent).sum(-1)[None]
    wrong = (predicted * own).sum(-1)
    return -functional.log_softmax(torch.cat([right, wrong]), dim=0)[0].mean()


def build(options: Options, *, embedding_size: int) -> PredictiveCodingWorker:
    """Build the worker."""
    return PredictiveCodingWorker(options, embedding_size=embedding_size)
