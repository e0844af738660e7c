"""Parallel decoding of many clips: results in order, constant memory, and one lost clip per decoder crash or hang."""

from __future__ import annotations

import contextlib
import json
import math
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import IO

import numpy as np

from workflow_scripts.audio import decoder_process
from workflow_scripts.audio.decode import FFMPEG_TIMEOUT_SECONDS
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.registry import PACKAGE

#: past ffmpeg's own limit, so that only a hung libsndfile reaches this one
CLIP_TIMEOUT_SECONDS = FFMPEG_TIMEOUT_SECONDS + 20
#: tasks per process beyond the first without a result: bounds the memory, yet keeps processes busy during a slow clip
TASKS_AHEAD = 4
BYTES_PER_SAMPLE = 2  # int16
#: crashes before any answer that end the run: no data set begins with so many files that crash a decoder, so the
#: program itself fails
MAX_CRASHES_AT_START = 20


@dataclass(frozen=True, kw_only=True)
class DecodeTask:
    """One clip to decode: the arguments of `decode`."""

    path: str
    sample_rate: int
    start_seconds: float | None = None
    end_seconds: float | None = None
    max_seconds: float | None = None
    stream: int = 0
    may_be_silent: bool = False


@dataclass(frozen=True, kw_only=True)
class DecodeResult:
    """Result of a task: `samples` int16 (samples,), or the reason why there are none."""

    samples: np.ndarray | None = None
    reason: str | None = None


def decode_all(
    tasks: Sequence[DecodeTask],
    *,
    processes: int,
    timeout_seconds: float = CLIP_TIMEOUT_SECONDS,
    command: Sequence[str] = (sys.executable, "-m", decoder_process.__name__),
) -> Iterator[DecodeResult]:
    """Yield one result per task, in the order of the tasks.

    A process that dies or takes longer than `timeout_seconds` costs its clip (reasons `crashed`, `timeout`) and is
    replaced. `command` is the decoding program. Raises `UserError` if that program cannot work at all.
    """
    with DecoderPool(tasks, processes=processes, timeout_seconds=timeout_seconds, command=command) as pool:
        yield from pool.results()


class DecoderPool:
    """Decoder processes that share a list of tasks; leaving the context ends the processes."""

    def __init__(
        self, tasks: Sequence[DecodeTask], *, processes: int, timeout_seconds: float, command: Sequence[str]
    ) -> None:
        """Take the arguments of `decode_all`."""
        self._tasks = tasks
        self._size = max(1, min(processes, len(tasks)))
        self._timeout_seconds = timeout_seconds
        self._command = command
        self._decoders: list[_DecoderProcess] = []
        self._selector = selectors.DefaultSelector()
        self._results: dict[int, DecodeResult] = {}  # by number of the task, until all before it are yielded
        self._submitted = self._yielded = 0  # tasks
        self._answers = self._crashes = 0

    def __enter__(self) -> DecoderPool:
        """Start the processes."""
        for _ in range(self._size):
            decoder = _DecoderProcess(self._command)
            self._decoders.append(decoder)
            self._selector.register(decoder.output, selectors.EVENT_READ, decoder)
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes."""
        for decoder in self._decoders:
            decoder.close()
        self._selector.close()

    def results(self) -> Iterator[DecodeResult]:
        """Yield the result of each task in order. Raises `UserError` if the decoding program cannot work at all."""
        while self._yielded < len(self._tasks):
            self._submit_pending()
            self._collect()
            self._expire()
            while self._yielded in self._results:
                yield self._results.pop(self._yielded)
                self._yielded += 1

    def _submit_pending(self) -> None:
        """Give every idle process the next task, as far ahead as `TASKS_AHEAD` allows."""
        limit = min(len(self._tasks), self._yielded + TASKS_AHEAD * self._size)
        for decoder in self._decoders:
            if decoder.task is None and self._submitted < limit:
                deadline = time.monotonic() + self._timeout_seconds
                decoder.submit(self._submitted, self._tasks[self._submitted], deadline=deadline)
                self._submitted += 1

    def _collect(self) -> None:
        """Wait for answers until the nearest deadline; replace the processes that died."""
        deadlines = (decoder.deadline for decoder in self._decoders if decoder.task is not None)
        nearest = min(deadlines, default=math.inf)
        for key, _ in self._selector.select(max(0.0, nearest - time.monotonic())):
            decoder = key.data
            number, decoder.task = decoder.task, None
            result = decoder.read_result()
            if result is None:
                self._count_crash()
                self._restart(decoder)
                result = DecodeResult(reason="crashed")
            else:
                self._answers += 1
            if number is not None:
                self._results[number] = result

    def _expire(self) -> None:
        """Replace the processes whose task has passed its deadline."""
        for decoder in self._decoders:
            if decoder.task is not None and time.monotonic() > decoder.deadline:
                self._results[decoder.task], decoder.task = DecodeResult(reason="timeout"), None
                self._restart(decoder)

    def _count_crash(self) -> None:
        self._crashes += 1
        if self._crashes >= MAX_CRASHES_AT_START and not self._answers:
            raise UserError(f"{' '.join(self._command)} dies at every clip: run it by hand to see why")

    def _restart(self, decoder: _DecoderProcess) -> None:
        self._selector.unregister(decoder.output)
        decoder.restart()
        self._selector.register(decoder.output, selectors.EVENT_READ, decoder)


class _DecoderProcess:
    """One decoding process and its current task."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self.task: int | None = None  # number of the current task
        self.deadline = math.inf
        self._start()

    @property
    def output(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def submit(self, number: int, task: DecodeTask, *, deadline: float) -> None:
        self.task, self.deadline = number, deadline
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the process died while idle: the end of its output reports that
            self._process.stdin.write(json.dumps(asdict(task)).encode() + b"\n")
            self._process.stdin.flush()

    def read_result(self) -> DecodeResult | None:
        """Read the answer; None if the process died. Raises `UserError` with a message that the process sends."""
        line = self.output.readline()
        if not line.endswith(b"\n"):
            return None
        answer = json.loads(line)
        if "stop" in answer:
            raise UserError(answer["stop"])
        if "reason" in answer:
            return DecodeResult(reason=answer["reason"])
        data = self.output.read(answer["samples"] * BYTES_PER_SAMPLE)
        if len(data) < answer["samples"] * BYTES_PER_SAMPLE:
            return None
        return DecodeResult(samples=np.frombuffer(data, "<i2"))

    def restart(self) -> None:
        self.close()
        self._start()

    def close(self) -> None:
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()

    def _start(self) -> None:
        path = os.pathsep.join([str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
        single_threaded = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # processes share the cores already
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **single_threaded, "PYTHONPATH": path},
        )
