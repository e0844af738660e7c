"""What the steps of a run cost: time, waiting for data, memory and arithmetic."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

Result = TypeVar("Result")

TERA = 1e12
#: Dense peak in FLOP/s for bfloat16 and for float32, from NVIDIA's data sheets: products of bfloat16 summed up in
#: float32; float32 as TF32, in which cuDNN's convolutions run by torch's default, where the GPU has it. The data
#: sheets of the H100 family and of the L4 state twice as much, which only sparse matrices reach.
PEAKS: tuple[tuple[str, float | None, float], ...] = (
    (r"H200", 989.4, 494.7),
    (r"H100 PCIe", 756.5, 378.0),
    (r"H100 NVL", 835.5, 417.5),
    (r"H100", 989.4, 494.7),  # SXM, "NVIDIA H100 80GB HBM3"
    (r"A100", 312.0, 156.0),
    (r"L40S", 362.05, 183.0),
    (r"L4", 121.0, 60.0),
    (r"A10", 125.0, 62.5),
    (r"RTX 4090", 165.2, 82.6),
    (r"RTX 3090", 71.2, 35.6),
    (r"V100-SXM2", None, 15.7),  # neither bfloat16 nor TF32
)


@dataclass(kw_only=True)
class Throughput:
    """What a run of at least one step cost so far, over all attempts at it; part of its state."""

    seconds: float = 0.0  # of training and validation
    steps: int = 0
    step_seconds: float = 0.0  # of the training steps alone
    waiting_seconds: float = 0.0  # of these, the device waited for data
    flops_per_step: int | None = None  # of all processes together; None: not counted yet
    peak_device_memory_bytes: int | None = None  # None: no GPU

    def as_state(self) -> dict[str, int | float | None]:
        """Return the fields by name."""
        return asdict(self)

    def as_record(self, *, device: torch.device, precision: torch.dtype, processes: int) -> dict[str, object]:
        """What the record says of it.

        `waiting_share` is the share of the training steps' time in which the device waited for data,
        `model_flops_utilisation` that of the devices' peak (null where it is not known) at which they computed, the
        time of waiting and compiling included.
        """
        peak = peak_flops(torch.cuda.get_device_name(device), precision) if device.type == "cuda" else None
        return {
            "processes": processes,
            "waiting_share": self.waiting_seconds / self.step_seconds,
            "peak_device_memory_bytes": self.peak_device_memory_bytes,
            "flops_per_step": self.flops_per_step,
            "model_flops_utilisation": self._flops_per_second() / (processes * peak) if peak else None,
        }

    def _flops_per_second(self) -> float:
        assert self.flops_per_step is not None, "the first step counts them"
        return self.flops_per_step * self.steps / self.step_seconds


def peak_flops(device_name: str, precision: torch.dtype) -> float | None:
    """Peak of a GPU by the name its driver gives, FLOP/s; None if it is not in the table."""
    for name, bfloat16, float32 in PEAKS:
        if re.search(rf"\b{name}\b", device_name):
            peak = bfloat16 if precision == torch.bfloat16 else float32
            return peak * TERA if peak is not None else None
    return None


def count_flops(function: Callable[[], Result]) -> tuple[Result, int]:
    """Call `function`; also return the FLOPs of its matrix products and convolutions, forward and backward.

    Counting looks on: the result is that of a plain call, bit for bit.
    """
    with FlopCounterMode(display=False) as counter:
        result = function()
    return result, counter.get_total_flops()


class Waiting:
    """Time that the device spends between the end of one step and the arrival of the next one's data.

    A GPU works behind the program that commands it, so its own clock is read, by events in its queue, and only when it
    has passed them: nothing waits for the measurement.
    """

    def __init__(self, device: torch.device) -> None:
        """Measure on `device`."""
        self.device, self._seconds = device, 0.0
        self._gpu = device.type == "cuda"
        self._finished: torch.cuda.Event | float | None = None
        self._pairs: deque[tuple[torch.cuda.Event, torch.cuda.Event]] = deque()

    def finished(self) -> None:
        """Note that nothing is left to do before the next batch."""
        self._finished = self._now()

    def arrived(self) -> None:
        """Note that the next batch is on the device."""
        before, self._finished = self._finished, None
        if before is None:
            return
        now = self._now()
        if isinstance(before, float) or isinstance(now, float):
            self._seconds += now - before  # type: ignore[operator]
        else:
            self._pairs.append((before, now))
            self._collect()

    def take(self) -> float:
        """Return the seconds since the last call; on a GPU those of steps that are over."""
        self._collect()
        seconds, self._seconds = self._seconds, 0.0
        return seconds

    def _collect(self) -> None:
        while self._pairs and self._pairs[0][1].query():
            before, after = self._pairs.popleft()
            self._seconds += before.elapsed_time(after) / 1000  # from milliseconds

    def _now(self) -> torch.cuda.Event | float:
        if not self._gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self.device))
        return event


class Clock:
    """Adds the time between its laps to a run's throughput, and what the GPU's memory held at most."""

    def __init__(self, throughput: Throughput, device: torch.device) -> None:
        """Start now."""
        self.throughput, self.device, self.waiting = throughput, device, Waiting(device)
        self._started = time.monotonic()

    def lap(self, *, steps: int = 0) -> None:
        """Add the time since the last lap, spent on so many training steps or, with none, on something else.

        On a GPU the steps must be over.
        """
        now, throughput = time.monotonic(), self.throughput
        throughput.seconds += now - self._started
        if steps:
            throughput.steps += steps
            throughput.step_seconds += now - self._started
            throughput.waiting_seconds += self.waiting.take()
        if self.device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(self.device)
            throughput.peak_device_memory_bytes = max(peak, throughput.peak_device_memory_bytes or 0)
        self._started = now
