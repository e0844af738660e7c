"""The one trainer: any encoder, any set of workers, any weighting.

It can be killed at any point. All that changes is in its state, which is saved as a whole; all that is random is drawn
anew in each step from counters. So a run that goes on from its state ends, on a CPU, with the very bits of one that
was never stopped.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from workflow_scripts.errors import UserError
from workflow_scripts.progress import track
from workflow_scripts.training.checkpoint import StateFile
from workflow_scripts.training.device import autocast_type
from workflow_scripts.training.history import History, LossReader
from workflow_scripts.training.interruption import InterruptedRunError, Interruption
from workflow_scripts.training.recipe import Recipe
from workflow_scripts.training.sampling import BatchLoader, Cuts, Cutter, Purpose, seed_for
from workflow_scripts.training.shapes import Batch, Encoder, Worker

Weigh = Callable[[dict[str, Tensor], Mapping[str, float]], Tensor]

STEPS_BETWEEN_READS = 20  # on a GPU: often enough to stop a run that diverged, seldom enough not to slow it
ENCODER = "encoder"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a finished run tells besides its weights."""

    history: History
    steps: int
    seconds: float  # of training and validation, over all attempts
    resumed: int  # times the run went on from a state


class Trainer:
    """Trains an encoder through its workers; everything given is used as it is and changed in place."""

    def __init__(
        self,
        *,
        encoder: Encoder,
        workers: Mapping[str, Worker],
        weigh: Weigh,
        weights: Mapping[str, float],
        cutter: Cutter,
        loader: BatchLoader,
        recipe: Recipe,
        seed: int,
        state: StateFile,
    ) -> None:
        """Move the modules to the device; make an Adam for the encoder and one for each worker, as PASE does."""
        self.device = loader.device
        self.encoder = encoder.to(self.device)
        self.workers = {name: worker.to(self.device) for name, worker in workers.items()}
        self.weigh, self.weights = weigh, weights
        self.cutter, self.loader, self.recipe, self.seed, self.state = cutter, loader, recipe, seed, state
        self.steps_per_epoch = recipe.steps_per_epoch or cutter.steps_per_epoch
        self.steps = recipe.epochs * self.steps_per_epoch
        self.autocast_type = autocast_type(recipe.precision, self.device)
        modules: dict[str, nn.Module] = {ENCODER: self.encoder, **self.workers}
        self._modules = modules
        self._rates = {
            name: recipe.encoder_learning_rate if name == ENCODER else recipe.worker_learning_rate for name in modules
        }
        self._optimisers = {
            name: torch.optim.Adam(module.parameters(), lr=self._rates[name])
            for name, module in modules.items()
            if any(parameter.requires_grad for parameter in module.parameters())
        }
        self._done = 0  # finished steps
        self._seconds = 0.0
        self._resumed = 0
        self._history = History()
        self._validation = cutter.validation(recipe.validation_batches)

    def run(self) -> Outcome:
        """Train to the end of the recipe, from the state file if there is one.

        Raises `InterruptedRunError` after saving when a signal asks to stop, and `UserError` when a loss is not
        finite; the last saved state is kept then.
        """
        saved = self.state.load(self.device)
        if saved is None:
            self._calibrate()
        else:
            self._restore(saved)
        with Interruption() as interruption:
            while self._done < self.steps:
                self._train_to_end_of_epoch(interruption)
        return Outcome(history=self._history, steps=self._done, seconds=self._seconds, resumed=self._resumed)

    def _train_to_end_of_epoch(self, interruption: Interruption) -> None:
        epoch = self._done // self.steps_per_epoch + 1
        steps = range(self._done, epoch * self.steps_per_epoch)
        every = STEPS_BETWEEN_READS if self.device.type == "cuda" else 1
        reader = LossReader(self._history, list(self.workers), every=every)
        before, clock = self._seconds, _Clock(self)
        saved = time.monotonic()
        self._train_mode(True)
        plan = ((self.cutter.training(step), seed_for(self.seed, Purpose.AUGMENTATION, step)) for step in steps)
        batches = track(self.loader.batches(plan), description=f"epoch {epoch}", total=len(steps))
        for step, batch in zip(steps, batches, strict=True):
            self._step(step, batch, reader)
            self._done = step + 1
            ended = self._done == epoch * self.steps_per_epoch
            due = time.monotonic() - saved >= self.recipe.checkpoint_seconds
            if (due or interruption.requested) and not ended:
                reader.read()
                clock.stop()
                self._save()
                saved = time.monotonic()
            if interruption.requested and not ended:
                raise self._interrupted(interruption)
        reader.read()
        self._history.close(epoch=epoch, split="train", weights=self.weights)
        self._validate(epoch)
        clock.stop()
        self._save()
        per_step = (self._seconds - before) / len(steps)
        line = f"epoch {epoch}/{self.recipe.epochs}: {per_step:.3g} s/step; {self._history.summary(epoch)}"
        print(line, file=sys.stderr, flush=True)
        if interruption.requested and self._done < self.steps:
            raise self._interrupted(interruption)

    def _step(self, step: int, batch: Batch, reader: LossReader) -> None:
        torch.manual_seed(seed_for(self.seed, Purpose.STEP, step))  # for whatever a module draws, such as dropout
        factor = self.recipe.rate_factor(step, steps_per_epoch=self.steps_per_epoch)
        losses = self._losses(batch)
        reader.add(step, losses)
        for name, optimiser in self._optimisers.items():
            optimiser.zero_grad(set_to_none=True)
            for group in optimiser.param_groups:
                group["lr"] = self._rates[name] * factor
        self.weigh(losses, self.weights).backward()
        for optimiser in self._optimisers.values():
            optimiser.step()

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        with self._autocast():
            frames = self.encoder(batch.audio)
            return {name: worker.loss(frames, batch).float() for name, worker in self.workers.items()}

    @torch.no_grad()
    def _validate(self, epoch: int) -> None:
        """Mean losses on the fixed pieces of the valid split, with batch normalisation's stored statistics."""
        if not self._validation:
            return
        self._train_mode(False)
        reader = LossReader(self._history, list(self.workers), every=len(self._validation))
        for number, batch in enumerate(self.loader.batches(self._seeded(self._validation, Purpose.VALIDATION))):
            torch.manual_seed(seed_for(0, Purpose.VALIDATION, number))
            reader.add(self._done - 1, self._losses(batch))
        reader.read()
        self._history.close(epoch=epoch, split="valid", weights=self.weights)

    def _calibrate(self) -> None:
        batches = self.loader.batches(
            self._seeded(self.cutter.calibration(self.recipe.calibration_batches), Purpose.CALIBRATION)
        )
        kept = list(batches)
        for worker in self.workers.values():
            if kept:
                worker.calibrate(kept)

    @staticmethod
    def _seeded(cuts: list[Cuts], purpose: Purpose) -> list[tuple[Cuts, int]]:
        return [(piece, seed_for(0, purpose, number)) for number, piece in enumerate(cuts)]

    def _train_mode(self, training: bool) -> None:
        for module in self._modules.values():
            module.train(training)

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, dtype=self.autocast_type, enabled=self.autocast_type is not None)

    def _save(self) -> None:
        """Save everything that later steps depend on; refuse to replace a good state by one that is not finite."""
        for name, module in self._modules.items():
            if not all(bool(torch.isfinite(value).all()) for value in module.state_dict().values()):
                raise UserError(
                    f"the weights of {name} are not finite after step {self._done}: lower the recipe's learning rates"
                )
        self.state.save(
            {
                "done": self._done,
                "seconds": self._seconds,
                "resumed": self._resumed,
                "history": self._history.as_state(),
                "modules": {name: module.state_dict() for name, module in self._modules.items()},
                "optimisers": {name: optimiser.state_dict() for name, optimiser in self._optimisers.items()},
            }
        )

    def _restore(self, saved: Mapping[str, Any]) -> None:
        for name, module in self._modules.items():
            module.load_state_dict(saved["modules"][name])
        for name, optimiser in self._optimisers.items():
            optimiser.load_state_dict(saved["optimisers"][name])
        self._history = History.from_state(saved["history"])
        self._done, self._seconds, self._resumed = saved["done"], saved["seconds"], saved["resumed"] + 1
        print(f"going on after step {self._done} of {self.steps}", file=sys.stderr, flush=True)

    def _interrupted(self, interruption: Interruption) -> InterruptedRunError:
        return InterruptedRunError(
            f"stopped by {interruption.requested} after step {self._done} of {self.steps}; "
            f"the state is saved in {self.state.path}: run again to go on"
        )


class _Clock:
    """Adds the time since its last stop to the trainer's seconds."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer, self._started = trainer, time.monotonic()

    def stop(self) -> None:
        now = time.monotonic()
        self._trainer._seconds += now - self._started
        self._started = now
