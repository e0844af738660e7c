"""A GPU in software: tensors that say `cuda:0`, compute on the CPU, and refuse tensors of another device.

A tensor of the emulated GPU wraps a tensor of the CPU with its values. Forward, backward, optimisers and whatever
depends on values therefore run as on a GPU, and an operation on tensors of two devices raises as it does there. Fake
tensors of torch have no values, so they end at the first `.item()`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map_only

GPU = torch.device("cuda", 0)
PEAK_MEMORY = 12345  # bytes
aten = torch.ops.aten
# the device that torch's own code sees: with `cuda`, autograd would ask the driver for streams
BEHIND = "meta"
#: operations that may read tensors of two devices: copies, and indices on the CPU
CROSSING = {aten.copy_, aten._to_copy, aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}
#: lazy views, whose marks torch ignores below the level of the emulation, and the operations that compute them
COMPUTED = {aten._conj.default: aten._conj_physical.default, aten._neg_view.default: aten.neg.default}
TWO_DEVICES = "expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu"
WRONG_GENERATOR = "expected a 'cuda' device type for generator but found 'cpu'"


#: calls of streams, events and pinned memory, in order
CALLS: list[tuple[str, object]] = []  # streams by their names


class GpuTensor(Tensor):
    """A tensor of the emulated GPU; `values` has its values on the CPU."""

    values: Tensor
    device = GPU  # type: ignore[assignment]
    is_cuda = True
    is_meta = False
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, values: Tensor) -> GpuTensor:
        """Wrap `values`."""
        wrapper: GpuTensor = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            values.shape,
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=BEHIND,
        )
        wrapper.values = values
        return wrapper

    def record_stream(self, stream: object) -> None:
        """Record that `stream` uses the memory."""
        CALLS.append(("record_stream", str(stream)))

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Write the values."""
        return self.values.__reduce_ex__(protocol)

    def __repr__(self, **_: object) -> str:  # type: ignore[override]
        """Return the values and the device."""
        return f"GpuTensor({self.values})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation on the values, after a check of the devices."""
        return _run(func, args, dict(kwargs or {}))


class EmulatedGpu:
    """Context in which `device="cuda"` means the emulated GPU, for the thread that enters it."""

    def __enter__(self) -> EmulatedGpu:
        """Enter."""
        self._modes = (_Operations(), _Calls())
        for mode in self._modes:
            mode.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        """Leave."""
        for mode in reversed(self._modes):
            mode.__exit__(*error)


class Stream:
    """Stub of a stream of the GPU, which records the calls of its methods."""

    def __init__(self, device: object = GPU, *, name: str = "side") -> None:
        """Name it."""
        self.device, self.name = torch.device(device), name  # type: ignore[arg-type]

    def __repr__(self) -> str:
        """Return the name."""
        return self.name

    def wait_event(self, event: object) -> None:
        """Record the call."""
        CALLS.append(("wait_event", str(self)))

    def record_event(self) -> Event:
        """Record the call; return an event that has passed."""
        CALLS.append(("record_event", str(self)))
        return Event()


class Event:
    """Stub of an event of the GPU that passes at once."""

    def __init__(self, *, enable_timing: bool = False) -> None:
        """Remember whether it measures time."""
        self.enable_timing, self.seconds = enable_timing, 0.0

    def record(self, stream: object) -> None:
        """Record the call and the time."""
        CALLS.append(("record", str(stream)))
        self.seconds = time.perf_counter()

    def query(self) -> bool:
        """Return that the GPU has passed it."""
        return True

    def elapsed_time(self, other: Event) -> float:
        """Return the milliseconds from this event to another."""
        assert self.enable_timing
        assert other.enable_timing
        return 1000 * (other.seconds - self.seconds)


COMPUTING = Stream(name="computing")


@contextlib.contextmanager
def _use_stream(stream: Stream | None) -> Iterator[None]:
    # another thread loads the batches, and modes hold for one thread
    CALLS.append(("enter", str(stream)))
    with EmulatedGpu() if stream is not None else contextlib.nullcontext():
        yield
    CALLS.append(("leave", str(stream)))


def _pin_memory(tensor: Tensor) -> Tensor:
    assert not _is_gpu(tensor), "only memory of the CPU can be pinned"
    CALLS.append(("pin_memory", tuple(tensor.shape)))
    return tensor


@contextlib.contextmanager
def emulated_gpu() -> Iterator[list[tuple[str, object]]]:
    """Emulate a GPU with streams, events and pinned memory; give the list of their calls, in order."""
    CALLS.clear()
    with pytest.MonkeyPatch.context() as patch, EmulatedGpu():
        patch.setattr(Tensor, "pin_memory", _pin_memory)
        for name, stub in {
            "Stream": Stream,
            "Event": Event,
            "stream": _use_stream,
            "current_stream": lambda _=None: COMPUTING,
            "max_memory_allocated": lambda _=None: PEAK_MEMORY,
            "get_device_name": lambda _=None: "NVIDIA H200",
            "is_bf16_supported": lambda **_: False,
        }.items():
            patch.setattr(torch.cuda, name, stub)
        yield CALLS


class _Operations(TorchDispatchMode):
    """Mode that makes tensors on the emulated GPU where torch's own code asks for the device behind it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, dict(kwargs or {}))


class _Calls(TorchFunctionMode):
    """Mode that replaces the GPU in the calls of Python code by the emulated one."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name == "tolist" and _is_gpu(args[0]):
            return args[0].cpu().tolist()
        if name in ("to", "cpu", "cuda"):
            return _move(name, func, args, kwargs)
        if kwargs.get("device") is not None and torch.device(kwargs["device"]).type == "cuda":
            if isinstance(kwargs.get("generator"), torch.Generator):
                raise RuntimeError(WRONG_GENERATOR)
            kwargs["device"] = BEHIND
            if func in (torch.tensor, torch.as_tensor):  # they make the tensor on the CPU and copy it
                return _copy(func(*args, **kwargs | {"device": "cpu"}))
        return func(*args, **kwargs)


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    func = COMPUTED.get(func, func)
    tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
    target = kwargs.get("device")
    if target is not None:
        on_gpu = torch.device(target).type != "cpu"
        kwargs = kwargs | {"device": torch.device("cpu")}
    else:
        on_gpu = isinstance(args[0], GpuTensor) if func.overloadpacket is aten.copy_ else any(map(_is_gpu, tensors))
    if func.overloadpacket not in CROSSING:
        _require_one_device(func, tensors)
    if on_gpu and isinstance(kwargs.get("generator"), torch.Generator):
        raise RuntimeError(WRONG_GENERATOR)
    plain_args, plain_kwargs = tree_map_only(GpuTensor, lambda value: value.values, (args, kwargs))
    result = func(*plain_args, **plain_kwargs)
    if not on_gpu:
        return result
    return return_and_correct_aliasing(func, args, kwargs, tree_map_only(Tensor, GpuTensor, result))


def _is_gpu(value: object) -> bool:
    return isinstance(value, GpuTensor)


def _require_one_device(func: Any, tensors: list[Tensor]) -> None:
    # a single number on the CPU may meet any tensor, as on a real GPU
    if any(map(_is_gpu, tensors)) and any(value.dim() and not _is_gpu(value) for value in tensors):
        raise RuntimeError(f"{func}: {TWO_DEVICES}")


def _move(name: str, func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    tensor, *rest = args
    if name == "to":
        if rest and isinstance(rest[0], Tensor):
            rest = [rest[0].device, rest[0].dtype]
        places = [value for value in (kwargs.get("device"), *rest[:1]) if isinstance(value, str | torch.device)]
        types = [value for value in (kwargs.get("dtype"), *rest) if isinstance(value, torch.dtype)]
    else:
        places, types = [GPU if name == "cuda" else "cpu"], []
    if not places:
        return func(*args, **kwargs)
    to_gpu = torch.device(places[0]).type == "cuda"
    if to_gpu and kwargs.get("non_blocking"):
        CALLS.append(("copy", tuple(tensor.shape)))
    if to_gpu != _is_gpu(tensor):
        tensor = _copy(tensor)
    return tensor.to(types[0]) if types and tensor.dtype != types[0] else tensor


def _copy(tensor: Tensor) -> Tensor:
    moved: Tensor = _Copy.apply(tensor)
    return moved


class _Copy(torch.autograd.Function):
    """Copy from one device to the other."""

    @staticmethod
    def forward(context: Any, value: Tensor) -> Tensor:
        return value.values.clone() if isinstance(value, GpuTensor) else GpuTensor(value.clone())

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return _copy(gradient)
