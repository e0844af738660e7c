"""The one trainer: any encoder, any set of workers, any weighting.

It can be killed at any point. All that changes is in its state, which is saved as a whole; all that is random is drawn
anew in each step from counters. So a run that goes on from its state ends, on a CPU, with the very bits of one that
was never stopped.

In several processes (`parallel`) each computes its share of the same batches; all hold the same weights, and the first
one writes and prints.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from workflow_scripts.core.errors import UserError
from workflow_scripts.core.progress import track
from workflow_scripts.networks.interfaces import Batch, Encoder, Worker
from workflow_scripts.pretraining import distributed, optimizers
from workflow_scripts.pretraining.device import CompiledModule, autocast_type, compiles
from workflow_scripts.pretraining.interruption import InterruptedRunError, Interruption
from workflow_scripts.pretraining.loss_log import History, LossReader
from workflow_scripts.pretraining.recipe import Recipe
from workflow_scripts.pretraining.sampling import BatchLoader, Cuts, Cutter, Purpose, parts_of, seed_for
from workflow_scripts.pretraining.throughput import Clock, Throughput, count_flops
from workflow_scripts.pretraining.training_state import StateFile

Weigh = Callable[[dict[str, Tensor], Mapping[str, float]], Tensor]

STEPS_BETWEEN_READS = 20  # on a GPU: often enough to stop a run that diverged, seldom enough not to slow it
ENCODER = "encoder"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a finished run tells besides its weights."""

    history: History
    steps: int
    throughput: Throughput
    resumed: int  # times the run went on from a state

    @property
    def seconds(self) -> float:
        """Time of training and validation, over all attempts."""
        return self.throughput.seconds


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
        """Move the modules to the device; make an optimiser for the encoder and one for each worker, as PASE does.

        Raises `UserError` if the processes cannot share the batch equally.
        """
        if recipe.batch % (distributed.size() * recipe.accumulate):
            raise UserError(
                f"recipe: a batch of {recipe.batch} in {recipe.accumulate} parts cannot be shared equally by "
                f"{distributed.size()} processes: choose a multiple of {distributed.size() * recipe.accumulate}"
            )
        self.device = loader.device
        self.encoder = encoder.to(self.device)
        self.workers = {name: worker.to(self.device) for name, worker in workers.items()}
        self.weigh, self.weights = weigh, weights
        self.cutter, self.loader, self.recipe, self.seed, self.state = cutter, loader, recipe, seed, state
        steps_per_epoch = cutter.steps_per_pass if recipe.epoch_of == "clips" else cutter.steps_per_epoch
        self.steps_per_epoch = recipe.steps_per_epoch or steps_per_epoch
        self.steps = recipe.epochs * self.steps_per_epoch
        self.autocast_type = autocast_type(recipe.precision, self.device)
        self._compiled = CompiledModule(self.encoder) if compiles(recipe.compile, self.device) else None
        modules: dict[str, nn.Module] = {ENCODER: self.encoder, **self.workers}
        self._modules = modules
        for module in modules.values():
            distributed.synchronise(module)
        self._rates = {name: recipe.learning_rate(encoder=name == ENCODER) for name in modules}
        self._optimisers = {
            name: optimizers.build(recipe, module.parameters(), rate=self._rates[name])
            for name, module in modules.items()
            if any(parameter.requires_grad for parameter in module.parameters())
        }
        self._done = 0  # finished steps
        self._throughput = Throughput()
        self._resumed = 0
        self._history = History()
        self._validation = cutter.validation(recipe.validation_batches)

    def run(self, *, epochs: int | None = None) -> Outcome:
        """Train to the end of the recipe, or of its first `epochs` epochs, from the state file if there is one.

        Stopped after some epochs, the state file holds what the rest needs to go on.

        Raises `InterruptedRunError` after saving when a signal asks to stop, and `UserError` when a loss is not
        finite; the last saved state is kept then.
        """
        saved = self.state.load(self.device)  # every process reads it, so they need a common file system
        if saved is None:
            self._calibrate()
        else:
            self._restore(saved)
        distributed.spread(self._modules.values())
        last = self.steps if epochs is None else min(self.steps, epochs * self.steps_per_epoch)
        with Interruption() as interruption:
            while self._done < last:
                self._train_to_end_of_epoch(interruption)
        return Outcome(history=self._history, steps=self._done, throughput=self._throughput, resumed=self._resumed)

    @property
    def compiled(self) -> bool:
        """Whether the encoder's training steps run compiled."""
        return self._compiled is not None and self._compiled.works

    def _train_to_end_of_epoch(self, interruption: Interruption) -> None:
        epoch = self._done // self.steps_per_epoch + 1
        steps = range(self._done, epoch * self.steps_per_epoch)
        every = STEPS_BETWEEN_READS if self.device.type == "cuda" else 1
        reader = LossReader(self._history, list(self.workers), every=every)
        before, clock = self._throughput.seconds, Clock(self._throughput, self.device)
        counted, saved = self._done, time.monotonic()
        self._train_mode(True)
        plan = ((self._share(self.cutter.training(step)), self._seed(step)) for step in steps)
        clock.waiting.finished()
        batches = self.loader.batches(plan, waiting=clock.waiting)
        for step, batch in zip(steps, self._shown(batches, f"epoch {epoch}", total=len(steps)), strict=True):
            self._step(step, batch, reader)
            self._done = step + 1
            interruption.agree()
            ended = self._done == epoch * self.steps_per_epoch
            if not ended and (interruption.requested or self._due(saved)):
                reader.read()
                clock.lap(steps=self._done - counted)
                self._save()
                counted, saved = self._done, time.monotonic()
            if not ended and interruption.requested:
                raise self._interrupted(interruption)
            clock.waiting.finished()
        reader.read()
        clock.lap(steps=self._done - counted)
        self._history.close(epoch=epoch, split="train", weights=self.weights)
        self._validate(epoch)
        clock.lap()
        self._save()
        per_step = (self._throughput.seconds - before) / len(steps)
        self._print(f"epoch {epoch}/{self.recipe.epochs}: {per_step:.3g} s/step; {self._history.summary(epoch)}")
        interruption.agree()
        if interruption.requested and self._done < self.steps:
            raise self._interrupted(interruption)

    def _step(self, step: int, batch: Batch, reader: LossReader) -> None:
        # for whatever a module draws, such as dropout; processes must not draw the same for their different examples
        torch.manual_seed(seed_for(self.seed, Purpose.STEP, step, *self._process))
        factor = self.recipe.rate_factor(step, steps_per_epoch=self.steps_per_epoch)
        for name, optimiser in self._optimisers.items():
            optimiser.zero_grad(set_to_none=True)
            for group in optimiser.param_groups:
                group["lr"] = self._rates[name] * factor
        if self._throughput.flops_per_step is None:
            losses, flops = count_flops(lambda: self._gradients(batch))
            self._throughput.flops_per_step = flops * distributed.size()
        else:
            losses = self._gradients(batch)
        reader.add(step, losses)
        for optimiser in self._optimisers.values():
            optimiser.step()

    def _gradients(self, batch: Batch) -> dict[str, Tensor]:
        """Set the gradients of the mean loss over the parts of the batch, and the processes; return the own losses."""
        parts = parts_of(batch, self.recipe.accumulate)
        losses: list[dict[str, Tensor]] = []
        for part in parts:
            found = self._losses(part)
            (self.weigh(found, self.weights) / len(parts)).backward()
            losses.append({name: loss.detach() for name, loss in found.items()})
        for module in self._modules.values():
            distributed.average_gradients(module.parameters())
        return self._mean(losses)

    @staticmethod
    def _mean(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        return {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        # the step whose arithmetic is counted runs plainly: the counter cannot look into compiled code
        compiled = self._compiled if self.encoder.training and self._throughput.flops_per_step is not None else None
        with self._autocast():
            frames = (compiled or self.encoder)(batch.audio)
            return {name: worker.loss(frames, batch).float() for name, worker in self.workers.items()}

    @torch.no_grad()
    def _validate(self, epoch: int) -> None:
        """Mean losses on the fixed pieces of the valid split, with batch normalisation's stored statistics.

        In the parts in which training computes a batch, for whoever needs those needs them here too.
        """
        if not self._validation:
            return
        self._train_mode(False)
        reader = LossReader(self._history, list(self.workers), every=len(self._validation))
        shares = [self._share(cuts) for cuts in self._validation]
        for number, batch in enumerate(self.loader.batches(self._seeded(shares, Purpose.VALIDATION))):
            torch.manual_seed(seed_for(0, Purpose.VALIDATION, number))
            parts = [self._losses(part) for part in parts_of(batch, self.recipe.accumulate)]
            reader.add(self._done - 1, self._mean(parts))
        reader.read()
        self._history.close(epoch=epoch, split="valid", weights=self.weights)

    def _calibrate(self) -> None:
        """Show every worker in every process the same batches, whole ones, in parts of a training step's size."""
        batches = self.loader.batches(
            self._seeded(self.cutter.calibration(self.recipe.calibration_batches), Purpose.CALIBRATION)
        )
        kept = [part for batch in batches for part in parts_of(batch, self.recipe.accumulate * distributed.size())]
        for worker in self.workers.values():
            if kept:
                worker.calibrate(kept)

    def _share(self, cuts: Cuts) -> Cuts:
        return cuts.share(distributed.rank(), processes=distributed.size(), parts=self.recipe.accumulate)

    def _seed(self, step: int) -> int:
        """Seed of the augmentation of this process's examples."""
        return seed_for(self.seed, Purpose.AUGMENTATION, step, *self._process)

    @property
    def _process(self) -> tuple[int, ...]:
        """Counter that tells apart the random numbers of several processes; the first draws as one alone does."""
        return () if distributed.is_first() else (distributed.rank(),)

    def _due(self, saved: float) -> bool:
        return bool(distributed.largest(time.monotonic() - saved >= self.recipe.checkpoint_seconds))

    @staticmethod
    def _shown(batches: Iterable[Batch], description: str, *, total: int) -> Iterator[Batch]:
        return track(batches, description=description, total=total) if distributed.is_first() else iter(batches)

    @staticmethod
    def _print(line: str) -> None:
        if distributed.is_first():
            print(line, file=sys.stderr, flush=True)

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
        if distributed.is_first():
            self.state.save(self._state())
        distributed.wait_for_all()  # none may end, and with it the run, while the first one writes

    def _state(self) -> dict[str, Any]:
        return {
            "done": self._done,
            "throughput": self._throughput.as_state(),
            "resumed": self._resumed,
            "history": self._history.as_state(),
            "modules": {name: module.state_dict() for name, module in self._modules.items()},
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self._optimisers.items()},
        }

    def _restore(self, saved: Mapping[str, Any]) -> None:
        for name, module in self._modules.items():
            module.load_state_dict(saved["modules"][name])
        for name, optimiser in self._optimisers.items():
            optimiser.load_state_dict(saved["optimisers"][name])
        self._history = History.from_state(saved["history"])
        self._throughput = Throughput(**saved["throughput"])
        self._done, self._resumed = saved["done"], saved["resumed"] + 1
        self._print(f"going on after step {self._done} of {self.steps}")

    def _interrupted(self, interruption: Interruption) -> InterruptedRunError:
        return InterruptedRunError(
            f"stopped by {interruption.requested} after step {self._done} of {self.steps}; "
            f"the state is saved in {self.state.path}: run again to go on"
        )
