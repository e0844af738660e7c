"""Training in several processes, as torchrun starts them: each takes its share of every batch.

The mean over the processes of equal shares' means is the mean over the batch, so averaged gradients are those of the
whole batch. Outside a group of processes every function here does nothing or gives back what it got.
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
def joined(device: torch.device) -> Iterator[torch.device]:
    """Join the group that torchrun started, if it did; yield the device of this process.

    Each process of a machine takes one of its GPUs. Raises `UserError` where there are fewer GPUs than processes.
    """
    if not distributed.is_torchelastic_launched() or int(os.environ["WORLD_SIZE"]) == 1:
        yield device
        return
    if device.type == "cuda":
        own, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if own >= gpus:
            raise UserError(f"this machine has {gpus} GPUs: give torchrun --nproc-per-node {gpus} or less")
        device = torch.device("cuda", own)
        torch.cuda.set_device(device)
    # gloo beside nccl: what is agreed upon in each step must not wait for the GPU
    distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    yield device
    # only after success: the others of a process that fails may wait in a collective, and torchrun ends them
    distributed.destroy_process_group()


def size() -> int:
    """Return the number of processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Return the number of this process, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def is_first() -> bool:
    """Whether this is the process that writes and prints."""
    return rank() == 0


def wait_for_all() -> None:
    """Go on once every process has come here."""
    largest(0)


def largest(number: int) -> int:
    """Return the largest of the processes' numbers."""
    if size() == 1:
        return number
    numbers = torch.tensor(number)
    distributed.all_reduce(numbers, distributed.ReduceOp.MAX)
    return int(numbers)


def agreed(number: int) -> int:
    """Return the first process's number."""
    if size() == 1:
        return number
    numbers = torch.tensor(number)
    distributed.broadcast(numbers, src=0)
    return int(numbers)


def mean(values: Tensor) -> Tensor:
    """Mean of each value over the processes, without gradient."""
    if size() == 1:
        return values
    total = values.detach().clone()
    distributed.all_reduce(total)
    return total / size()


def gather(values: Tensor) -> Tensor:
    """Concatenate the processes' tensors (rows, ...), equally many rows each, along the first axis, by rank.

    Gradients flow back to each process's rows from the losses of all: averaging the parameters' gradients afterwards
    (`average_gradients`) makes them those of the mean of these losses.
    """
    return values if size() == 1 else _Gather.apply(values)


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over the processes, in one exchange for each type of number."""
    if size() == 1:
        return
    by_type: dict[torch.dtype, list[Tensor]] = {}
    for parameter in parameters:
        if parameter.grad is not None:
            by_type.setdefault(parameter.grad.dtype, []).append(parameter.grad)
    for gradients in by_type.values():
        means = mean(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, values in zip(gradients, means.split([each.numel() for each in gradients]), strict=True):
            gradient.copy_(values.view_as(gradient))


@torch.no_grad()
def spread(modules: Iterable[nn.Module]) -> None:
    """Give every process the first one's parameters and buffers."""
    if size() > 1:
        for module in modules:
            for value in module.state_dict().values():
                distributed.broadcast(value, src=0)


def synchronise(module: nn.Module) -> None:
    """Let all batch normalisations within `module` use the statistics of the joint batch; keys and parameters stay."""
    if size() == 1:
        return
    replaced: dict[nn.Module, nn.Module] = {}
    for part in list(module.modules()):
        for name, child in part.named_children():
            if isinstance(child, _BatchNorm):
                setattr(part, name, replaced.setdefault(child, JointBatchNorm(child)))


class JointBatchNorm(_BatchNorm):
    """Batch normalisation over all processes' examples, on any device; torch's own knows CUDA only.

    In evaluation mode, and in one process, it is the normalisation it was made from.
    """

    def __init__(self, original: _BatchNorm) -> None:
        """Take over the parameters and buffers of `original` themselves, not copies."""
        super().__init__(
            original.num_features, original.eps, original.momentum, affine=False, track_running_stats=False
        )
        self.affine, self.track_running_stats = original.affine, original.track_running_stats
        self._parameters, self._buffers = original._parameters, original._buffers
        self.train(original.training)

    def forward(self, values: Tensor) -> Tensor:
        """Normalise values (examples, channels, ...)."""
        if not self.training or size() == 1:
            return super().forward(values)
        return self._normalised(values)

    def _check_input_dim(self, input: Tensor) -> None:
        """Take any number of axes: the encoder was built with the original, which knew them."""

    @torch.compiler.disable  # a compiler cannot see through the exchange
    def _normalised(self, values: Tensor) -> Tensor:
        # the statistics in float32 under autocast too, as torch's own
        normal, mean, variance, count = _JointNormalisation.apply(values, self.eps)
        if self.track_running_stats:
            self._track(mean, variance * (count / (count - 1)))
        if self.affine:
            shape = _per_channel(values)
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        return normal.to(values.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        assert self.num_batches_tracked is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


class _JointNormalisation(Function):
    """Values minus their joint mean, over the root of their joint variance; also returns both and the joint count."""

    @staticmethod
    def forward(ctx: FunctionCtx, values: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        wide = values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
        axes, shape = [0, *range(2, wide.dim())], _per_channel(wide)
        own_variance, own_mean = torch.var_mean(wide, axes, correction=0)
        own_count = own_mean.new_full((1,), wide.numel() // wide.shape[1])
        every = _all(torch.cat([own_mean, own_variance, own_count])[None])
        means, variances, counts = every.split([len(own_mean), len(own_mean), 1], dim=1)
        count = counts.sum()
        mean = (means * counts).sum(0) / count
        # a joint variance is what the parts vary within and between them (Chan et al. 1979): no difference of squares
        variance = ((variances + (means - mean).square()) * counts).sum(0) / count
        scale = (variance + epsilon).rsqrt()
        normal = (wide - mean.view(shape)) * scale.view(shape)
        ctx.save_for_backward(normal, scale, count)
        ctx.mark_non_differentiable(mean, variance, count)
        return normal, mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor, *_: Tensor) -> tuple[Tensor, None]:
        normal, scale, count = ctx.saved_tensors  # type: ignore[attr-defined]
        axes, shape = [0, *range(2, normal.dim())], _per_channel(normal)
        sums = torch.stack([gradient.sum(axes), (gradient * normal).sum(axes)])
        distributed.all_reduce(sums)
        shift, stretch = (part.view(shape) for part in sums / count)
        return (gradient - shift - normal * stretch) * scale.view(shape), None


class _Gather(Function):
    @staticmethod
    def forward(ctx: FunctionCtx, values: Tensor) -> Tensor:
        ctx.rows = len(values)  # type: ignore[attr-defined]
        return _all(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total.split(ctx.rows)[rank()]  # type: ignore[attr-defined]


def _all(values: Tensor) -> Tensor:
    parts = [torch.empty_like(values, memory_format=torch.contiguous_format) for _ in range(size())]
    distributed.all_gather(parts, values.detach().contiguous())
    return torch.cat(parts)


def _per_channel(values: Tensor) -> list[int]:
    """Shape in which one value per channel meets `values` (examples, channels, ...)."""
    return [1, -1, *[1] * (values.dim() - 2)]
