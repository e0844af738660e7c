"""Distributed training in the processes that torchrun starts: each takes its share of every batch.

The mean over the processes of the means of equal shares is the mean over the batch, so averaged gradients are those of
the whole batch. Outside a process group every function is the identity, or does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn
from torch.autograd import Function
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from workflow_scripts.core.errors import UserError


@contextmanager
def process_group(device: torch.device) -> Iterator[torch.device]:
    """Join the process group that torchrun started, if it did; yield the device of this process.

    Each process of a machine takes one of its GPUs. Raises `UserError` if there are fewer GPUs than processes.
    """
    if not distributed.is_torchelastic_launched() or int(os.environ["WORLD_SIZE"]) == 1:
        yield device
        return
    if device.type == "cuda":
        local_rank, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local_rank >= gpus:
            raise UserError(f"this machine has {gpus} GPUs: give torchrun --nproc-per-node {gpus} or less")
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    # gloo beside nccl: the numbers exchanged in each step must not wait for the GPU
    distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    yield device
    # only after success: the peers of a failed process may wait in a collective, and torchrun ends them
    distributed.destroy_process_group()


def world_size() -> int:
    """Return the number of processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Return the number of this process, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def is_main_process() -> bool:
    """Return whether this is the process that writes and prints, the one of rank 0."""
    return rank() == 0


def barrier() -> None:
    """Wait until every process has reached this point."""
    all_reduce_max(0)


def all_reduce_max(number: int) -> int:
    """Return the maximum of the processes' numbers."""
    if world_size() == 1:
        return number
    numbers = torch.tensor(number)
    distributed.all_reduce(numbers, distributed.ReduceOp.MAX)
    return int(numbers)


def broadcast_number(number: int) -> int:
    """Return the number of the main process."""
    if world_size() == 1:
        return number
    numbers = torch.tensor(number)
    distributed.broadcast(numbers, src=0)
    return int(numbers)


def all_reduce_mean(values: Tensor) -> Tensor:
    """Return the mean of each value over the processes, without gradient."""
    if world_size() == 1:
        return values
    total = values.detach().clone()
    distributed.all_reduce(total)
    return total / world_size()


def all_gather(values: Tensor) -> Tensor:
    """Concatenate the processes' tensors (rows, ...), equally many rows each, along the first axis, by rank.

    Gradients flow back to the rows of each process from the losses of all processes: averaging the gradients of the
    parameters afterwards (`average_gradients`) makes them those of the mean of these losses.
    """
    return values if world_size() == 1 else _AllGather.apply(values)


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over the processes, in one exchange per data type."""
    if world_size() == 1:
        return
    by_type: dict[torch.dtype, list[Tensor]] = {}
    for parameter in parameters:
        if parameter.grad is not None:
            by_type.setdefault(parameter.grad.dtype, []).append(parameter.grad)
    for gradients in by_type.values():
        means = all_reduce_mean(torch.cat([gradient.flatten() for gradient in gradients]))
        sizes = [gradient.numel() for gradient in gradients]
        for gradient, values in zip(gradients, means.split(sizes), strict=True):
            gradient.copy_(values.view_as(gradient))


@torch.no_grad()
def broadcast_parameters(modules: Iterable[nn.Module]) -> None:
    """Copy the parameters and buffers of the main process to every process."""
    if world_size() > 1:
        for module in modules:
            for value in module.state_dict().values():
                distributed.broadcast(value, src=0)


def synchronize_batch_norm(module: nn.Module) -> None:
    """Let all batch normalisations in `module` use the statistics of the joint batch; keys and parameters stay."""
    if world_size() == 1:
        return
    replacements: dict[nn.Module, nn.Module] = {}
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, _BatchNorm):
                setattr(parent, name, replacements.setdefault(child, SynchronizedBatchNorm(child)))


class SynchronizedBatchNorm(_BatchNorm):
    """Batch normalisation over the examples of all processes, on any device; torch's own supports CUDA only.

    In evaluation mode, and in a single process, it computes the same as the original module.
    """

    def __init__(self, original: _BatchNorm) -> None:
        """Share the parameters and buffers of `original`, without copying them."""
        super().__init__(
            original.num_features, original.eps, original.momentum, affine=False, track_running_stats=False
        )
        self.affine, self.track_running_stats = original.affine, original.track_running_stats
        self._parameters, self._buffers = original._parameters, original._buffers
        self.train(original.training)
        # A compiler cannot see through the exchange. Not a decorator: it would load the compiler in every job.
        self._normalise_eagerly = torch.compiler.disable(self._normalise)

    def forward(self, values: Tensor) -> Tensor:
        """Normalise values (examples, channels, ...)."""
        if not self.training or world_size() == 1:
            return super().forward(values)
        return self._normalise_eagerly(values)

    def _check_input_dim(self, input: Tensor) -> None:
        """Accept any number of axes: the encoder was built with the original module, which checked them."""

    def _normalise(self, values: Tensor) -> Tensor:
        # float32 statistics under autocast too, as in torch's own module
        normal, mean, variance, count = _SynchronizedNormalization.apply(values, self.eps)
        if self.track_running_stats:
            self._update_running_statistics(mean, variance * (count / (count - 1)))
        if self.affine:
            shape = _channel_shape(values)
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        return normal.to(values.dtype)

    @torch.no_grad()
    def _update_running_statistics(self, mean: Tensor, variance: Tensor) -> None:
        assert self.num_batches_tracked is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), momentum)


class _SynchronizedNormalization(Function):
    """(values - mean) / sqrt(variance + epsilon) with joint statistics; also returns mean, variance and joint count."""

    @staticmethod
    def forward(ctx: FunctionCtx, values: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        # statistics of this process, by channel
        wide = values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
        axes, shape = [0, *range(2, wide.dim())], _channel_shape(wide)
        own_variance, own_mean = torch.var_mean(wide, axes, correction=0)
        own_count = own_mean.new_full((1,), wide.numel() // wide.shape[1])
        # statistics of all processes, (processes, 2 * channels + 1)
        statistics = _concatenate_ranks(torch.cat([own_mean, own_variance, own_count])[None])
        means, variances, counts = statistics.split([len(own_mean), len(own_mean), 1], dim=1)
        # joint mean and variance: within and between the processes (Chan et al. 1979), without a difference of squares
        count = counts.sum()
        mean = (means * counts).sum(0) / count
        variance = ((variances + (means - mean).square()) * counts).sum(0) / count
        # normalise
        scale = (variance + epsilon).rsqrt()
        normal = (wide - mean.view(shape)) * scale.view(shape)
        ctx.save_for_backward(normal, scale, count)
        ctx.mark_non_differentiable(mean, variance, count)
        return normal, mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor, *_: Tensor) -> tuple[Tensor, None]:
        normal, scale, count = ctx.saved_tensors  # type: ignore[attr-defined]
        axes, shape = [0, *range(2, normal.dim())], _channel_shape(normal)
        # sums of the gradient, and of its product with the output, over the joint batch
        sums = torch.stack([gradient.sum(axes), (gradient * normal).sum(axes)])
        distributed.all_reduce(sums)
        mean_gradient, mean_product = (values.view(shape) for values in sums / count)
        return (gradient - mean_gradient - normal * mean_product) * scale.view(shape), None


class _AllGather(Function):
    @staticmethod
    def forward(ctx: FunctionCtx, values: Tensor) -> Tensor:
        ctx.rows = len(values)  # type: ignore[attr-defined]
        return _concatenate_ranks(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total.split(ctx.rows)[rank()]  # type: ignore[attr-defined]


def _concatenate_ranks(values: Tensor) -> Tensor:
    parts = [torch.empty_like(values, memory_format=torch.contiguous_format) for _ in range(world_size())]
    distributed.all_gather(parts, values.detach().contiguous())
    return torch.cat(parts)


def _channel_shape(values: Tensor) -> list[int]:
    """Return the shape in which one value per channel broadcasts with `values` (examples, channels, ...)."""
    return [1, -1, *[1] * (values.dim() - 2)]
