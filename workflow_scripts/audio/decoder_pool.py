"""Decoding many clips on all cores, in order, with constant memory, whatever single files do to a decoder."""

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

CLIP_TIMEOUT_SECONDS = (
    FFMPEG_TIMEOUT_SECONDS + 20
)  # past ffmpeg's own limit, so that only a stuck libsndfile meets this one
TASKS_AHEAD = 4  # clips per process that may wait for an earlier, slower one: bounds the memory, keeps processes busy
BYTES_PER_SAMPLE = 2
MAX_CRASHES_AT_START = (
    20  # deaths before any answer: no set begins with so many files that crash a decoder; the program itself fails
)


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
    """What became of a task: `samples` int16 (samples,), or the reason why there are none."""

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

    A process that dies or takes longer than `seconds_per_clip` costs its clip (reasons `crashed`, `timeout`) and is
    replaced. `command` is the decoding program. Raises `UserError` if that cannot work at all.
    """
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        size = max(1, min(processes, len(tasks)))
        decoders = [_DecoderProcess(command) for _ in range(size)]
        for decoder in decoders:
            stack.callback(decoder.close)
        for decoder in decoders:
            selector.register(decoder.output, selectors.EVENT_READ, decoder)
        done: dict[int, DecodeResult] = {}
        started = yielded = answers = deaths = 0

        def renew(decoder: _DecoderProcess) -> None:
            selector.unregister(decoder.output)
            decoder.restart()
            selector.register(decoder.output, selectors.EVENT_READ, decoder)

        while yielded < len(tasks):
            for decoder in decoders:
                if decoder.task is None and started < min(len(tasks), yielded + TASKS_AHEAD * size):
                    decoder.begin(started, tasks[started], deadline=time.monotonic() + timeout_seconds)
                    started += 1
            nearest = min((decoder.deadline for decoder in decoders if decoder.task is not None), default=math.inf)
            for key, _ in selector.select(max(0.0, nearest - time.monotonic())):
                decoder = key.data
                number, decoder.task = decoder.task, None
                result = decoder.result()
                answers += result is not None
                if result is None:
                    deaths += 1
                    if deaths >= MAX_CRASHES_AT_START and not answers:
                        raise UserError(f"{' '.join(command)} dies at every clip: run it by hand to see why")
                    renew(decoder)
                    result = DecodeResult(reason="crashed")
                if number is not None:
                    done[number] = result
            for decoder in decoders:
                if decoder.task is not None and time.monotonic() > decoder.deadline:
                    done[decoder.task], decoder.task = DecodeResult(reason="timeout"), None
                    renew(decoder)
            while yielded in done:
                yield done.pop(yielded)
                yielded += 1


class _DecoderProcess:
    """One decoding process and the task it is at."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self.task: int | None = None  # number of the task it is at
        self.deadline = math.inf
        self._start()

    @property
    def output(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def begin(self, number: int, task: DecodeTask, *, deadline: float) -> None:
        self.task, self.deadline = number, deadline
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died while idle: the end of its output reports that
            self._process.stdin.write(json.dumps(asdict(task)).encode() + b"\n")
            self._process.stdin.flush()

    def result(self) -> DecodeResult | None:
        """Read the answer; None if the process died."""
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
        single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # processes share the cores already
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **single, "PYTHONPATH": path},
        )
