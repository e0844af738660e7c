"""Audio decoded by the ffmpeg program, as a stream, for files that libsndfile cannot read."""

from __future__ import annotations

import contextlib
import functools
import io
import math
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import imageio_ffmpeg
import numpy as np

from workflow_scripts.audio import exit_status
from workflow_scripts.core.errors import UserError

#: containers of recordings; playlists and scripts, which make ffmpeg open other files, are left out
CONTAINERS = (
    "wav,w64,aiff,au,caf,mp3,flac,ogg,mov,matroska,asf,avi,flv,mpeg,mpegts,"
    "aac,loas,ac3,eac3,dts,ape,wv,tta,mpc,mpc8,amr,dsf,iff,rm,shn,tak"
)
#: Sun/NeXT .au: magic, offset of the data, its length, encoding, sample rate, channels
AU_HEADER = struct.Struct(">4s5I")
AU_MAGIC = b".snd"
FFMPEG_CHECK_SECONDS = 30.0  # to decode a tenth of a second: a program that takes longer does not work
BYTES_PER_SAMPLE = 4  # float32
BLOCK_BYTES = 1 << 20
LOG_BYTES = 1 << 16  # duration and first errors are near the start; a broken file can produce gigabytes of log
# The start of a line distinguishes ffmpeg's reports from texts in a file's tags.
DURATION = re.compile(rb"^\[info\]   Duration: (\d+):(\d\d):(\d\d\.\d+)", re.MULTILINE)
ESTIMATED_DURATION = re.compile(rb"^\[[^\]\n]* @ \w+\] \[warning\] Estimating duration from bitrate", re.MULTILINE)
#: in the list of packets: number of a stream and its unit of time; number of a stream, time, duration
PACKET_UNIT = re.compile(rb"^#tb (\d+): (\d+)/(\d+)", re.MULTILINE)
PACKET = re.compile(rb"^(\d+), *(?:-?\d+|\w+), *(-?\d+), *(\d+),", re.MULTILINE)
DURATION_SLACK_SECONDS = 0.1  # durations of compressed formats count the padding of their last frames
#: a line of the log on an error in the audio: not in a cover picture, nor of the output, about odd time stamps
ERROR_LINE = re.compile(
    rb"^(?!\[(?:au|png|mjpeg|webp|gif|bmp) @|\[out#)(?:\[[^\]\n]* @ \w+\] )*\[(?:error|fatal)\] ", re.MULTILINE
)
#: time limits are counted in ticks: however long a job is stopped (Ctrl-Z, a suspended cluster job), that is one tick
TICK_SECONDS = 1.0


class FfmpegError(Exception):
    """ffmpeg produced no audio at all."""


class FfmpegTimeoutError(Exception):
    """ffmpeg was stopped because it took too long."""


class FfmpegKilledError(Exception):
    """ffmpeg was killed from outside, by the signal that the message names: nothing is known of the file."""


@dataclass(frozen=True, kw_only=True)
class AudioStream:
    """Output of a decoder.

    `read` yields blocks, float32 (frames, channels), of so many frames in all (None: to the end): reading further would
    meet errors that are not in the clip.
    """

    sample_rate: int  # Hz
    channels: int
    declared_frames: int | None  # as stated in the file; None where it states no length
    slack_frames: int  # by which that may be too long
    read: Callable[[int | None], Iterator[np.ndarray]]
    has_errors: Callable[[], bool]  # whether the decoder met any in what was read


@functools.cache
def find_program() -> str:
    """Return the path of the system's ffmpeg, otherwise of imageio-ffmpeg's. Raises `UserError` if neither decodes.

    A program that cannot start, or is too old for its options, would make good files look damaged.
    """
    programs = [path for path in (shutil.which("ffmpeg"),) if path]
    with contextlib.suppress(RuntimeError):
        programs.append(imageio_ffmpeg.get_ffmpeg_exe())
    for program in programs:
        if _can_decode(program):
            return program
    tried = f" ({', '.join(programs)} cannot decode)" if programs else ""
    raise UserError(f"no ffmpeg program that works{tried}: install ffmpeg 4 or later")


def _can_decode(program: str) -> bool:
    """Return whether a program decodes a short silence with the options that files are decoded with."""
    with io.BytesIO() as sample:
        with wave.open(sample, "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))  # one channel of 16 bits at 8 kHz
            file.writeframes(bytes(1600))
        content = sample.getvalue()
    command = [
        *_compose_input(program, "pipe:0", start_byte=0, timeout_seconds=FFMPEG_CHECK_SECONDS),
        *_compose_output(stream=0),
    ]
    try:
        result = subprocess.run(command, input=content, capture_output=True, check=False, timeout=FFMPEG_CHECK_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return False
    return result.returncode == 0 and result.stdout.startswith(AU_MAGIC)


def _compose_input(program: str, source: str, *, start_byte: int, timeout_seconds: float) -> list[str]:
    """Return the first words of a command: the program, and what it reads."""
    # CPU seconds: this limit also ends ffmpeg when its parent was killed
    time_limit = str(max(1, round(timeout_seconds)))
    # fmt: off
    return [
        program, "-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info", "-threads", "1",
        "-timelimit", time_limit, "-protocol_whitelist", "file,pipe", "-format_whitelist", CONTAINERS,
        "-err_detect", "crccheck", "-skip_initial_bytes", str(start_byte), "-i", source,
    ]
    # fmt: on


def _compose_output(*, stream: int) -> list[str]:
    """Return the last words of a command that writes an audio stream as float samples to standard output."""
    selection = ["-map", f"0:a:{stream}", "-vn", "-sn", "-dn", "-map_metadata", "-1"]
    return [*selection, "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]


@dataclass(frozen=True, kw_only=True)
class _Process:
    """A running ffmpeg: what it writes, its log, and whether it was stopped because it took too long."""

    popen: subprocess.Popen[bytes]
    output: IO[bytes]
    log: IO[bytes]
    timed_out: threading.Event

    def require_own_end(self) -> None:
        """Raise `FfmpegTimeoutError` or `FfmpegKilledError` unless ffmpeg, whose output has ended, came to its end."""
        code = self.popen.wait()
        if self.timed_out.is_set() or code == -signal.SIGXCPU:  # the limit of wall-clock time, or that of CPU time
            raise FfmpegTimeoutError
        if name := exit_status.outside_signal(code):
            raise FfmpegKilledError(name)


@contextlib.contextmanager
def _start_process(path: Path, output: list[str], *, timeout_seconds: float, start_byte: int) -> Iterator[_Process]:
    """Start ffmpeg on a file with the last words of its command; leaving the context stops it."""
    # the prefix protects names that start with "-" or contain ":"
    source = _compose_input(find_program(), f"file:{path}", start_byte=start_byte, timeout_seconds=timeout_seconds)
    with tempfile.TemporaryFile() as log:
        popen = subprocess.Popen([*source, *output], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        assert popen.stdout is not None
        finished, timed_out = threading.Event(), threading.Event()
        watch = (popen, timeout_seconds, finished, timed_out)
        threading.Thread(target=_watch, args=watch, daemon=True).start()
        try:
            yield _Process(popen=popen, output=popen.stdout, log=log, timed_out=timed_out)
        finally:
            finished.set()
            popen.kill()
            popen.communicate()


@contextlib.contextmanager
def open_stream(path: Path, *, timeout_seconds: float, stream: int = 0, start_byte: int = 0) -> Iterator[AudioStream]:
    """Decode an audio stream of `path` at its own rate and channels, leaving out the bytes before `start_byte`.

    Leaving the context stops ffmpeg. Raises `FfmpegError` if ffmpeg gets no audio out of the file; also from the blocks
    `FfmpegTimeoutError` after `timeout_seconds`, and `FfmpegKilledError`.
    """
    with _start_process(
        path, _compose_output(stream=stream), timeout_seconds=timeout_seconds, start_byte=start_byte
    ) as process:
        yield _read_header(process)


def measure_seconds(
    path: Path, *, stated_seconds: float, timeout_seconds: float, stream: int = 0, start_byte: int = 0
) -> float | None:
    """Return the time from the first to the last packet of an audio stream of `path`.

    None unless the packets of all its sounds and pictures go on to the stated length: otherwise the end is lost. Raises
    `FfmpegTimeoutError` and `FfmpegKilledError`.
    """
    # lines of stream, time of decoding, time, duration and more, behind lines that state seconds in a unit of time
    output = ["-map", "0:a?", "-map", "0:V?", "-c", "copy", "-f", "framecrc", "pipe:1"]
    with _start_process(path, output, timeout_seconds=timeout_seconds, start_byte=start_byte) as process:
        packets = process.output.read()
        process.require_own_end()
    units = {int(match[1]): int(match[2]) / int(match[3]) for match in PACKET_UNIT.finditer(packets)}
    starts: dict[int, float] = {}
    ends: dict[int, float] = {}
    for number, time, duration in (map(int, match.groups()) for match in PACKET.finditer(packets)):
        begin, end = time * units[number], (time + duration) * units[number]
        starts[number], ends[number] = min(begin, starts.get(number, begin)), max(end, ends.get(number, end))
    if stream not in ends or max(ends.values()) < stated_seconds - DURATION_SLACK_SECONDS:
        return None
    return ends[stream] - starts[stream]


def _watch(
    process: subprocess.Popen[bytes], seconds: float, finished: threading.Event, timed_out: threading.Event
) -> None:
    """Stop `process` after so many seconds in which this program ran, unless it has `finished`."""
    while seconds > 0:
        if finished.wait(min(TICK_SECONDS, seconds)):
            return
        seconds -= TICK_SECONDS
    timed_out.set()
    process.kill()


def _read_header(process: _Process) -> AudioStream:
    header = process.output.read(AU_HEADER.size)
    if len(header) < AU_HEADER.size:
        process.require_own_end()
        raise FfmpegError
    _, offset, _, _, sample_rate, channels = AU_HEADER.unpack(header)
    process.output.read(offset - AU_HEADER.size)
    declared = _read_declared_seconds(process.log)
    return AudioStream(
        sample_rate=sample_rate,
        channels=channels,
        declared_frames=None if declared is None else round(declared * sample_rate),
        slack_frames=round(DURATION_SLACK_SECONDS * sample_rate),
        read=lambda frames: _read_blocks(process, channels, frames),
        has_errors=lambda: ERROR_LINE.search(_read_log(process.log)) is not None,
    )


def _read_blocks(process: _Process, channels: int, frames: int | None) -> Iterator[np.ndarray]:
    frame = channels * BYTES_PER_SAMPLE
    left = math.inf if frames is None else frames * frame  # bytes
    while left > 0:
        size = int(min(BLOCK_BYTES // frame * frame, left))
        data = process.output.read(size)
        left -= size
        if len(data) < size:
            process.require_own_end()
        samples = np.frombuffer(data[: len(data) // frame * frame], dtype=">f4").astype(np.float32)
        if not len(samples):
            return
        yield samples.reshape(-1, channels)


def _read_log(log: IO[bytes]) -> bytes:
    """Read the start of the log without moving the place where ffmpeg, which shares it, writes."""
    return os.pread(log.fileno(), LOG_BYTES, 0)


def _read_declared_seconds(log: IO[bytes]) -> float | None:
    """Read the duration stated by the container; None if it states none or ffmpeg estimated it from the bit rate."""
    text = _read_log(log)
    match = DURATION.search(text)
    if match is None or ESTIMATED_DURATION.search(text):
        return None
    hours, minutes, seconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
