"""The pre-training loop for any encoder, any set of workers and any weighting.

Training can be killed at any point. Everything that changes is in the training state, which is saved as a whole; every
random number is drawn anew in each step from counters. On a CPU, a resumed run therefore ends with exactly the bits of
an uninterrupted one.

In several processes (`distributed`) each process computes its share of the same batches. All hold the same weights, and
the main process writes and prints.
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

from workflow_scripts.configuration.recipe import Recipe
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.progress import track
from workflow_scripts.networks.interfaces import Batch, Encoder, Worker
from workflow_scripts.pretraining import distributed, optimizers
from workflow_scripts.pretraining.crop_sampler import CropIndex, CropSampler, Purpose, seed_for
from workflow_scripts.pretraining.data_loader import BatchLoader, split_batch
from workflow_scripts.pretraining.device import CompiledModule, autocast_type, cpu_has_bf16, should_compile
from workflow_scripts.pretraining.interruption import InterruptedRunError, Interruption
from workflow_scripts.pretraining.loss_log import LossLog, LossReader
from workflow_scripts.pretraining.throughput import StepTimer, Throughput, count_flops
from workflow_scripts.pretraining.training_state import StateFile

#: total loss from the losses and the weights of the workers, by name
CombineLosses = Callable[[dict[str, Tensor], Mapping[str, float]], Tensor]

# on a GPU: often enough to stop a run that diverged, seldom enough not to slow it
STEPS_BETWEEN_READS = 20
ENCODER = "encoder"


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """Losses and cost of a run, besides its weights."""

    loss_log: LossLog
    steps: int
    throughput: Throughput
    resumptions: int  # times the run was resumed from a saved state

    @property
    def seconds(self) -> float:
        """Time of training and validation, over all attempts."""
        return self.throughput.seconds


class Trainer:
    """Trainer of an encoder by its workers; all modules are used as they are and changed in place."""

    def __init__(
        self,
        *,
        encoder: Encoder,
        workers: Mapping[str, Worker],
        combine_losses: CombineLosses,
        weights: Mapping[str, float],
        sampler: CropSampler,
        loader: BatchLoader,
        recipe: Recipe,
        seed: int,
        state_file: StateFile,
    ) -> None:
        """Move the modules to the device; build one optimiser for the encoder and one per worker, as PASE does.

        Raises `UserError` if the processes cannot share the batch equally.
        """
        if recipe.batch % (distributed.world_size() * recipe.accumulate):
            raise UserError(
                f"recipe: a batch of {recipe.batch} in {recipe.accumulate} parts cannot be shared equally by "
                f"{distributed.world_size()} processes: choose a multiple of "
                f"{distributed.world_size() * recipe.accumulate}"
            )
        self.device = loader.device
        self.encoder = encoder.to(self.device)
        self.workers = {name: worker.to(self.device) for name, worker in workers.items()}
        self.combine_losses, self.weights = combine_losses, weights
        self.sampler, self.loader, self.recipe, self.seed, self.state_file = sampler, loader, recipe, seed, state_file
        steps_per_epoch = sampler.steps_per_pass if recipe.epoch_of == "clips" else sampler.steps_per_epoch
        self.steps_per_epoch = recipe.steps_per_epoch or steps_per_epoch
        self.steps = recipe.epochs * self.steps_per_epoch
        self.autocast_type = autocast_type(recipe.precision, self.device)
        self._compiled = CompiledModule(self.encoder) if should_compile(recipe.compile, self.device) else None
        modules: dict[str, nn.Module] = {ENCODER: self.encoder, **self.workers}
        self._modules = modules
        for module in modules.values():
            distributed.synchronize_batch_norm(module)
        self._learning_rates = {name: recipe.learning_rate(encoder=name == ENCODER) for name in modules}
        self._optimizers = {
            name: optimizers.build(recipe, module.parameters(), rate=self._learning_rates[name])
            for name, module in modules.items()
            if any(parameter.requires_grad for parameter in module.parameters())
        }
        self._steps_done = 0
        self._throughput = Throughput()
        self._resumed = 0
        self._loss_log = LossLog()
        self._validation = sampler.validation_crops(recipe.validation_batches)

    def run(self, *, epochs: int | None = None) -> TrainingResult:
        """Train to the end of the recipe, or of its first `epochs` epochs, from the state file if there is one.

        After a limited number of epochs, the state file holds everything needed to resume.

        Raises `InterruptedRunError` after saving when a signal asks to stop, and `UserError` when a loss is not finite;
        the last saved state is kept then.
        """
        for line in self.sampler.describe_short(validation=bool(self._validation)):
            self._print(line)
        if self.recipe.precision == "auto" and self.device.type == "cpu" and cpu_has_bf16():
            self._print(
                "computing in float32; on this processor, precision: bf16 in the recipe may take half of the time"
            )
        with Interruption() as interruption:
            saved = self.state_file.load(self.device)  # every process reads it, so they need a common file system
            if saved is None:
                self._calibrate()
            else:
                self.load_state(saved)
            distributed.broadcast_parameters(self._modules.values())
            last = self.steps if epochs is None else min(self.steps, epochs * self.steps_per_epoch)
            while self._steps_done < last:
                self._train_to_end_of_epoch(interruption)
        return TrainingResult(
            loss_log=self._loss_log, steps=self._steps_done, throughput=self._throughput, resumptions=self._resumed
        )

    @property
    def is_compiled(self) -> bool:
        """Whether the encoder's training steps run compiled."""
        return self._compiled is not None and self._compiled.works

    def _train_to_end_of_epoch(self, interruption: Interruption) -> None:
        # the epoch may have begun before an interruption: only its remaining steps are left
        epoch = self._steps_done // self.steps_per_epoch + 1
        steps = range(self._steps_done, epoch * self.steps_per_epoch)
        reads_every = STEPS_BETWEEN_READS if self.device.type == "cuda" else 1
        reader = LossReader(self._loss_log, list(self.workers), every=reads_every)
        timer = StepTimer(self._throughput, self.device, steps_done=self._steps_done)
        seconds_before, saved_at = self._throughput.seconds, time.monotonic()
        self._set_training_mode(True)

        # load the crops of this process in advance, while the device computes
        crops = (self._shard(self.sampler.training_crops(step)) for step in steps)
        seeded_crops = zip(crops, map(self._augmentation_seed, steps), strict=True)
        timer.data_wait.mark_step_end()
        batches = self.loader.batches(seeded_crops, wait_timer=timer.data_wait)
        for step, batch in zip(steps, self._with_progress(batches, f"epoch {epoch}", total=len(steps)), strict=True):
            # forward, backward, update
            self._train_step(step, batch, reader)
            self._steps_done = step + 1

            # agree on signals, so that all processes stop after the same step
            interruption.synchronize()

            # save the state when it is due, or before stopping; the end of an epoch saves it anyway
            epoch_ended = self._steps_done == epoch * self.steps_per_epoch
            if not epoch_ended and (interruption.requested or self._save_is_due(saved_at)):
                reader.read()
                timer.lap(steps_done=self._steps_done)
                self.save_state()
                saved_at = time.monotonic()
            if not epoch_ended and interruption.requested:
                raise self._interrupted_error(interruption)
            timer.data_wait.mark_step_end()

        # log the mean training losses of the epoch
        reader.read()
        timer.lap(steps_done=self._steps_done)
        self._loss_log.close_epoch(epoch=epoch, split="train", weights=self.weights)

        # validate, save and report
        self._validate(epoch)
        timer.lap(steps_done=self._steps_done)
        self.save_state()
        seconds_per_step = (self._throughput.seconds - seconds_before) / len(steps)
        losses = self._loss_log.summarise(epoch)
        self._print(f"epoch {epoch}/{self.recipe.epochs}: {seconds_per_step:.3g} s/step; {losses}")

        # stop between two epochs if a signal arrived meanwhile
        interruption.synchronize()
        if interruption.requested and self._steps_done < self.steps:
            raise self._interrupted_error(interruption)

    def _train_step(self, step: int, batch: Batch, reader: LossReader) -> None:
        # seed the draws of modules, such as dropout; each process differs, because its examples do
        torch.manual_seed(seed_for(self.seed, Purpose.STEP, step, *self._process_counter))

        # set the learning rates of this step and clear the gradients
        factor = self.recipe.rate_factor(step, steps_per_epoch=self.steps_per_epoch)
        for name, optimizer in self._optimizers.items():
            optimizer.zero_grad(set_to_none=True)
            for group in optimizer.param_groups:
                group["lr"] = self._learning_rates[name] * factor

        # forward and backward; the first step of a run also counts its floating-point operations
        if self._throughput.flops_per_step is None:
            losses, flops = count_flops(lambda: self._backpropagate(batch))
            self._throughput.flops_per_step = flops * distributed.world_size()
        else:
            losses = self._backpropagate(batch)
        reader.add(step, losses)

        # update the parameters
        for optimizer in self._optimizers.values():
            optimizer.step()

    def _backpropagate(self, batch: Batch) -> dict[str, Tensor]:
        """Set the gradients of the mean loss over micro-batches and processes; return the losses of this process."""
        parts = split_batch(batch, self.recipe.accumulate)
        part_losses: list[dict[str, Tensor]] = []
        # accumulate the gradients of the micro-batches
        for part in parts:
            losses = self._compute_losses(part)
            (self.combine_losses(losses, self.weights) / len(parts)).backward()
            part_losses.append({name: loss.detach() for name, loss in losses.items()})
        # average the gradients over the processes
        for module in self._modules.values():
            distributed.average_gradients(module.parameters())
        return self._mean_losses(part_losses)

    @staticmethod
    def _mean_losses(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        return {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}

    def _compute_losses(self, batch: Batch) -> dict[str, Tensor]:
        # the step whose operations are counted runs uncompiled, because the counter cannot see into compiled code
        compiled = self._compiled if self.encoder.training and self._throughput.flops_per_step is not None else None
        with self._autocast():
            frames = (compiled or self.encoder)(batch.audio)
            return {name: worker.loss(frames, batch).float() for name, worker in self.workers.items()}

    @torch.no_grad()
    def _validate(self, epoch: int) -> None:
        """Log the mean losses on fixed crops of the valid split, with the stored statistics of batch normalisation.

        Uses the same micro-batches as training, so that memory use is the same.
        """
        if not self._validation:
            return
        self._set_training_mode(False)
        reader = LossReader(self._loss_log, list(self.workers), every=len(self._validation))
        shards = [self._shard(crops) for crops in self._validation]
        for number, batch in enumerate(self.loader.batches(self._with_seeds(shards, Purpose.VALIDATION))):
            torch.manual_seed(seed_for(0, Purpose.VALIDATION, number))
            losses = [self._compute_losses(part) for part in split_batch(batch, self.recipe.accumulate)]
            reader.add(self._steps_done - 1, self._mean_losses(losses))
        reader.read()
        self._loss_log.close_epoch(epoch=epoch, split="valid", weights=self.weights)

    def _calibrate(self) -> None:
        """Calibrate every worker, in every process, on the same whole batches, split to the size of a training step."""
        crops = self.sampler.calibration_crops(self.recipe.calibration_batches)
        batches = self.loader.batches(self._with_seeds(crops, Purpose.CALIBRATION))
        parts_per_batch = self.recipe.accumulate * distributed.world_size()
        parts = [part for batch in batches for part in split_batch(batch, parts_per_batch)]
        for worker in self.workers.values():
            if parts:
                worker.calibrate(parts)

    def _shard(self, crops: CropIndex) -> CropIndex:
        return crops.shard(distributed.rank(), processes=distributed.world_size(), parts=self.recipe.accumulate)

    def _augmentation_seed(self, step: int) -> int:
        return seed_for(self.seed, Purpose.AUGMENTATION, step, *self._process_counter)

    @property
    def _process_counter(self) -> tuple[int, ...]:
        """Counter that separates the random streams of the processes; the main process draws as a single one does."""
        return () if distributed.is_main_process() else (distributed.rank(),)

    def _save_is_due(self, saved_at: float) -> bool:
        return bool(distributed.all_reduce_max(time.monotonic() - saved_at >= self.recipe.save_state_seconds))

    @staticmethod
    def _with_progress(batches: Iterable[Batch], description: str, *, total: int) -> Iterator[Batch]:
        return track(batches, description=description, total=total) if distributed.is_main_process() else iter(batches)

    @staticmethod
    def _print(line: str) -> None:
        if distributed.is_main_process():
            print(line, file=sys.stderr, flush=True)

    @staticmethod
    def _with_seeds(crops: list[CropIndex], purpose: Purpose) -> list[tuple[CropIndex, int]]:
        return [(batch, seed_for(0, purpose, number)) for number, batch in enumerate(crops)]

    def _set_training_mode(self, training: bool) -> None:
        for module in self._modules.values():
            module.train(training)

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, dtype=self.autocast_type, enabled=self.autocast_type is not None)

    def save_state(self) -> None:
        """Save everything that later steps depend on; `UserError` instead of replacing a good state by NaN weights."""
        for name, module in self._modules.items():
            if not all(bool(torch.isfinite(value).all()) for value in module.state_dict().values()):
                raise UserError(
                    f"the weights of {name} are not finite after step {self._steps_done}: "
                    "lower the recipe's learning rates"
                )
        if distributed.is_main_process():
            self.state_file.save(self._state())
        distributed.barrier()  # no process may exit, and end the run, while the main process writes

    def _state(self) -> dict[str, Any]:
        return {
            "steps_done": self._steps_done,
            "throughput": self._throughput.to_state(),
            "resumed": self._resumed,
            "loss_log": self._loss_log.to_state(),
            "modules": {name: module.state_dict() for name, module in self._modules.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()},
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `save_state` wrote."""
        for name, module in self._modules.items():
            module.load_state_dict(state["modules"][name])
        for name, optimizer in self._optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self._loss_log = LossLog.from_state(state["loss_log"])
        self._throughput = Throughput(**state["throughput"])
        self._steps_done, self._resumed = state["steps_done"], state["resumed"] + 1
        self._print(f"resuming at step {self._steps_done} of {self.steps}")

    def _interrupted_error(self, interruption: Interruption) -> InterruptedRunError:
        return InterruptedRunError(
            f"stopped by {interruption.requested} after step {self._steps_done} of {self.steps}; "
            f"the state is saved in {self.state_file.path}: run again to resume"
        )
