"""Cost of the training steps of a run: time, waiting for data, memory and floating-point operations."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeVar

import torch

Result = TypeVar("Result")

TERA = 1e12
#: pattern of the device name, dense peak in TFLOP/s of bfloat16 and of float32, from NVIDIA's data sheets: bfloat16
#: with accumulation in float32; float32 as TF32 where the GPU supports it, since cuDNN's convolutions use it by torch's
#: default. The data sheets of the H100 family and of the L4 state twice as much, which only sparse matrices reach.
PEAK_TERAFLOPS: tuple[tuple[str, float | None, float], ...] = (
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
    """Cost of a run of at least one step so far, over all attempts; part of the training state."""

    seconds: float = 0.0  # of training and validation
    steps: int = 0
    step_seconds: float = 0.0  # of the training steps alone
    waiting_seconds: float = 0.0  # of these, spent waiting for data
    flops_per_step: int | None = None  # of all processes together; None: not counted yet
    peak_device_memory_bytes: int | None = None  # None: no GPU

    def to_state(self) -> dict[str, int | float | None]:
        """Return the fields by name."""
        return asdict(self)

    def to_record(self, *, device: torch.device, precision: torch.dtype, processes: int) -> dict[str, object]:
        """Return the entries of `record.json`.

        `waiting_share` is the share of the time of the training steps in which the device waited for data.
        `model_flops_utilisation` is the achieved share of the peak of the devices (null if unknown); the time includes
        waiting and compiling.
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
        assert self.flops_per_step is not None, "the first step counts the operations"
        return self.flops_per_step * self.steps / self.step_seconds


def peak_flops(device_name: str, precision: torch.dtype) -> float | None:
    """Return the peak of a GPU in FLOP/s by the name its driver reports; None if it is not in the table."""
    for name, bfloat16, float32 in PEAK_TERAFLOPS:
        if re.search(rf"\b{name}\b", device_name):
            peak = bfloat16 if precision == torch.bfloat16 else float32
            return peak * TERA if peak is not None else None
    return None


def count_flops(function: Callable[[], Result]) -> tuple[Result, int]:
    """Call `function`; also return the FLOPs of its matrix products and convolutions, forward and backward.

    Counting has no effect on the result.
    """
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415  (once in a run; it loads torch's operators)

    with FlopCounterMode(display=False) as counter:
        result = function()
    return result, counter.get_total_flops()


class DataWaitTimer:
    """Timer of the gaps between the end of one step and the arrival of the data of the next on the device.

    A GPU lags behind the program that commands it. The timer therefore uses events in the GPU's queue, and reads them
    only once the GPU has passed them, so nothing waits for the measurement.
    """

    def __init__(self, device: torch.device) -> None:
        """Measure on `device`."""
        self.device, self._seconds = device, 0.0
        self._gpu = device.type == "cuda"
        self._step_end: torch.cuda.Event | float | None = None
        self._pending: deque[tuple[torch.cuda.Event, torch.cuda.Event]] = deque()

    def mark_step_end(self) -> None:
        """Mark the moment after which the device needs the next batch."""
        self._step_end = self._now()

    def mark_arrival(self) -> None:
        """Mark the arrival of the next batch on the device."""
        step_end, self._step_end = self._step_end, None
        if step_end is None:
            return
        now = self._now()
        if isinstance(step_end, float) or isinstance(now, float):
            self._seconds += now - step_end  # type: ignore[operator]
        else:
            self._pending.append((step_end, now))
            self._read_passed_events()

    def take(self) -> float:
        """Return the seconds since the last call; on a GPU those of completed steps."""
        self._read_passed_events()
        seconds, self._seconds = self._seconds, 0.0
        return seconds

    def _read_passed_events(self) -> None:
        while self._pending and self._pending[0][1].query():
            step_end, arrival = self._pending.popleft()
            self._seconds += step_end.elapsed_time(arrival) / 1000  # from milliseconds

    def _now(self) -> torch.cuda.Event | float:
        if not self._gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self.device))
        return event


class StepTimer:
    """Timer that adds the time between its laps, and the peak of GPU memory, to the throughput of a run."""

    def __init__(self, throughput: Throughput, device: torch.device, *, steps_done: int) -> None:
        """Start timing; `steps_done` training steps were done before."""
        self.throughput, self.device, self.data_wait = throughput, device, DataWaitTimer(device)
        self._steps_done = steps_done
        self._started = time.monotonic()

    def lap(self, *, steps_done: int) -> None:
        """Add the time since the last lap, spent on the steps since then or, if there are none, on something else.

        On a GPU the steps must be completed.
        """
        now, throughput = time.monotonic(), self.throughput
        steps, self._steps_done = steps_done - self._steps_done, steps_done
        throughput.seconds += now - self._started
        if steps:
            throughput.steps += steps
            throughput.step_seconds += now - self._started
            throughput.waiting_seconds += self.data_wait.take()
        if self.device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(self.device)
            throughput.peak_device_memory_bytes = max(peak, throughput.peak_device_memory_bytes or 0)
        self._started = now
