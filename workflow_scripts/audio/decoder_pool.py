"""Parallel decoding of many clips: results in order, constant memory, and one lost clip per file that crashes or hangs.

A clip is given up only for what its file does again in a fresh process. A process that was killed from outside says
nothing about the file: the clip is decoded again, and at last the job fails.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import selectors
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any, Literal

import numpy as np

from workflow_scripts.audio import decoder_process, exit_status
from workflow_scripts.audio.decode import FFMPEG_TIMEOUT_SECONDS
from workflow_scripts.audio.ffmpeg import TICK_SECONDS
from workflow_scripts.audio.samples import BYTES_PER_SAMPLE
from workflow_scripts.core.errors import TemporaryError, UserError
from workflow_scripts.levels.registry import PACKAGE

#: past ffmpeg's own limit, so that only a hung libsndfile reaches this one
CLIP_TIMEOUT_SECONDS = FFMPEG_TIMEOUT_SECONDS + 20
#: tasks per process beyond the first without a result: bounds the memory, yet keeps processes busy during a slow clip
TASKS_AHEAD = 4
READ_BYTES = 1 << 16  # what a pipe holds
#: attempts at a clip before its file counts as the cause: all but the first are made in a fresh process, which no file
#: before it has damaged; kills at random may hit one clip again, as its fresh process needs a second to start
ATTEMPTS = {"crashed": 2, "timeout": 2, "killed": 5}
#: deaths before any answer that end the run: no data set begins with so many files that crash a decoder, so the
#: program itself fails
MAX_DEATHS_AT_START = 20


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
    factor: float = 1.0  # by which the samples are scaled to fit into full scale
    defects: tuple[str, ...] = ()  # keys of `decode.DEFECTS`
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Failure:
    """An attempt without a result: `kind` is `killed`, or the reason of a file that does it again."""

    kind: Literal["crashed", "timeout", "killed"]
    signal: str = ""  # of a process that was killed


def decode_all(
    tasks: Sequence[DecodeTask],
    *,
    processes: int,
    timeout_seconds: float = CLIP_TIMEOUT_SECONDS,
    command: Sequence[str] = (sys.executable, "-m", decoder_process.__name__),
) -> Iterator[DecodeResult]:
    """Yield one result per task, in the order of the tasks.

    A file that crashes its process or takes longer than `timeout_seconds`, and does so again in a fresh one, costs its
    clip (reasons `crashed`, `timeout`); a stop of the job does not count. `command` is the decoding program. Raises
    `TemporaryError` if the processes of a clip are killed from outside again and again, `UserError` if the program
    cannot work at all.
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
        self._failures: Counter[tuple[int, str]] = Counter()  # by task and kind
        self._answers = self._deaths = 0
        self._tick = time.monotonic()

    def __enter__(self) -> DecoderPool:
        """Start the processes."""
        for _ in range(self._size):
            self._decoders.append(self._start_process())
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes."""
        for decoder in self._decoders:
            decoder.close()
        self._selector.close()

    def results(self) -> Iterator[DecodeResult]:
        """Yield the result of each task in order. Raises `TemporaryError` or `UserError` as `decode_all` does."""
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
                self._submit(decoder, self._submitted)
                self._submitted += 1

    def _submit(self, decoder: _DecoderProcess, number: int) -> None:
        decoder.submit(number, self._tasks[number], seconds=self._timeout_seconds)

    def _collect(self) -> None:
        """Wait for answers until the nearest time limit or the next tick; replace the processes that died."""
        limits = (decoder.seconds_left for decoder in self._decoders if decoder.task is not None)
        for key, _ in self._selector.select(max(0.0, min([TICK_SECONDS, *limits]))):
            decoder = key.data
            answer = decoder.receive()
            if isinstance(answer, _Failure):
                self._repeat(decoder, answer)
            elif answer is not None:
                self._answers += 1
                self._results[decoder.task], decoder.task = answer, None

    def _expire(self) -> None:
        """Replace the processes whose task has used up its time, in which a stop of the job counts as one tick."""
        now = time.monotonic()
        elapsed, self._tick = min(now - self._tick, TICK_SECONDS), now
        for decoder in self._decoders:
            decoder.seconds_left -= elapsed
            if decoder.task is not None and decoder.seconds_left <= 0:
                self._repeat(decoder, _Failure(kind="timeout"))

    def _repeat(self, decoder: _DecoderProcess, failure: _Failure) -> None:
        """Replace the process; decode its task again, or take the failure for the result."""
        number, fresh = decoder.task, self._replace(decoder)
        self._deaths += failure.kind != "timeout"
        if self._deaths >= MAX_DEATHS_AT_START and not self._answers:
            raise UserError(f"{' '.join(self._command)} dies at every clip: run it by hand to see why")
        if number is None:  # it died idle
            return
        self._failures[number, failure.kind] += 1
        if self._failures[number, failure.kind] < ATTEMPTS[failure.kind]:
            self._submit(fresh, number)
        elif failure.kind == "killed":
            raise TemporaryError(
                f"the process that decodes {self._tasks[number].path} was killed {ATTEMPTS['killed']} times "
                f"({failure.signal}), by the system for lack of memory or by somebody: give the job more memory and "
                "run again; take the file away if it alone needs more than there is"
            )
        else:
            self._results[number] = DecodeResult(reason=failure.kind)

    def _start_process(self) -> _DecoderProcess:
        decoder = _DecoderProcess(self._command)
        self._selector.register(decoder.output, selectors.EVENT_READ, decoder)
        return decoder

    def _replace(self, decoder: _DecoderProcess) -> _DecoderProcess:
        self._selector.unregister(decoder.output)
        decoder.close()
        place = self._decoders.index(decoder)
        self._decoders[place] = self._start_process()
        return self._decoders[place]


class _DecoderProcess:
    """One decoding process and its current task."""

    def __init__(self, command: Sequence[str]) -> None:
        self.task: int | None = None  # number of the current task
        self.seconds_left = math.inf  # for it
        self._answer: dict[str, Any] | None = None  # its first line
        self._received = bytearray()  # of what follows it
        path = os.pathsep.join([str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
        single_threaded = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # processes share the cores already
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **single_threaded, "PYTHONPATH": path},
        )

    @property
    def output(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def submit(self, number: int, task: DecodeTask, *, seconds: float) -> None:
        self.task, self.seconds_left = number, seconds
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the process died while idle: the end of its output reports that
            self._process.stdin.write(json.dumps(asdict(task)).encode() + b"\n")
            self._process.stdin.flush()

    def receive(self) -> DecodeResult | _Failure | None:
        """Read what there is of the answer; None if more is to come. Never waits, as a stopped process may not go on.

        Raises `UserError` with a message that the process sends.
        """
        data = os.read(self.output.fileno(), READ_BYTES)
        if not data:
            outside = exit_status.outside_signal(self._process.wait())
            return _Failure(kind="killed", signal=outside) if outside else _Failure(kind="crashed")
        self._received += data
        if self._answer is None:
            header, newline, _ = self._received.partition(b"\n")
            if not newline:
                return None
            self._answer = json.loads(header)
            del self._received[: len(header) + 1]
        return self._read_answer(self._answer)

    def _read_answer(self, answer: dict[str, Any]) -> DecodeResult | _Failure | None:
        if "stop" in answer:
            raise UserError(answer["stop"])
        if "killed" in answer:
            return _Failure(kind="killed", signal=answer["killed"])
        reason = answer.get("reason")
        if reason == "timeout":
            return _Failure(kind="timeout")
        if reason is None and len(self._received) < answer["samples"] * BYTES_PER_SAMPLE:
            return None
        samples = None if reason else np.frombuffer(self._received, "<i2")
        self._answer, self._received = None, bytearray()
        if samples is None:
            return DecodeResult(reason=reason)
        return DecodeResult(samples=samples, factor=answer["factor"], defects=tuple(answer["defects"]))

    def close(self) -> None:
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()
