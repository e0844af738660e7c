"""Streaming decoded audio out of the ffmpeg program, for what libsndfile cannot read."""

from __future__ import annotations

import contextlib
import functools
import re
import shutil
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import imageio_ffmpeg
import numpy as np

from workflow_scripts.core.errors import UserError

#: containers that hold recordings; not the playlists and scripts that make ffmpeg open other files
CONTAINERS = (
    *(
        "wav",
        "w64",
        "aiff",
        "au",
        "caf",
        "mp3",
        "flac",
        "ogg",
        "mov",
        "matroska",
        "asf",
        "avi",
        "flv",
        "mpeg",
        "mpegts",
    ),
    *("aac", "loas", "ac3", "eac3", "dts", "ape", "wv", "tta", "mpc", "mpc8", "amr", "dsf", "iff", "rm", "shn", "tak"),
)
AU_HEADER = struct.Struct(
    ">4s5I"
)  # Sun/NeXT .au: magic, offset of the data, its length, encoding, sample rate, channels
BYTES_PER_SAMPLE = 4  # float32
BLOCK_BYTES = 1 << 20
LOG_BYTES = 1 << 16  # the length of the recording stands near the start; a broken file can fill gigabytes of log
DURATION = re.compile(rb"Duration: (\d+):(\d\d):(\d\d\.\d+)")
ESTIMATED_DURATION = b"Estimating duration from bitrate"


class FfmpegError(Exception):
    """The program gave no audio at all."""


class FfmpegTimeoutError(Exception):
    """The program was stopped because it took too long."""


@dataclass(frozen=True, kw_only=True)
class AudioStream:
    """Audio as it comes out of a decoder: `blocks` yields float32 (frames, channels)."""

    sample_rate: int  # Hz
    channels: int
    declared_frames: int | None  # what the file says it holds; None where it says nothing
    blocks: Iterator[np.ndarray]


@functools.cache
def find_program() -> str:
    """The ffmpeg of the system, otherwise the one that imageio-ffmpeg brings. `UserError` if there is neither."""
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise UserError(f"no ffmpeg program found: install ffmpeg ({error})") from error


@contextlib.contextmanager
def open_stream(path: Path, *, timeout_seconds: float, stream: int = 0) -> Iterator[AudioStream]:
    """Decode an audio stream of `path` at its own rate and channels; leaving the context stops the program.

    Raises `FfmpegError` if there is no audio to be had, `FfmpegTimeoutError` (also from the blocks) after
    `seconds_allowed`.
    """
    command = [
        *(find_program(), "-nostdin", "-hide_banner", "-nostats", "-loglevel", "info", "-threads", "1"),
        *("-timelimit", str(max(1, round(timeout_seconds)))),  # CPU seconds: it also ends when its parent was killed
        *("-protocol_whitelist", "file,pipe", "-format_whitelist", ",".join(CONTAINERS)),
        *("-i", f"file:{path}"),  # the prefix protects names that start with "-" or hold ":"
        *("-map", f"0:a:{stream}", "-vn", "-sn", "-dn", "-map_metadata", "-1"),
        *("-c:a", "pcm_f32be", "-f", "au", "pipe:1"),
    ]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        late = threading.Event()

        def stop() -> None:
            late.set()
            process.kill()

        watchdog = threading.Timer(timeout_seconds, stop)
        watchdog.daemon = True
        watchdog.start()
        try:
            assert process.stdout is not None
            yield _read_header(process.stdout, log, late)
        finally:
            watchdog.cancel()
            process.kill()
            process.communicate()


def _read_header(output: IO[bytes], log: IO[bytes], late: threading.Event) -> AudioStream:
    header = output.read(AU_HEADER.size)
    if len(header) < AU_HEADER.size:
        raise FfmpegTimeoutError if late.is_set() else FfmpegError
    _, offset, _, _, sample_rate, channels = AU_HEADER.unpack(header)
    output.read(offset - AU_HEADER.size)
    declared = _read_declared_seconds(log)
    return AudioStream(
        sample_rate=sample_rate,
        channels=channels,
        declared_frames=None if declared is None else round(declared * sample_rate),
        blocks=_read_blocks(output, channels, late),
    )


def _read_blocks(output: IO[bytes], channels: int, late: threading.Event) -> Iterator[np.ndarray]:
    frame = channels * BYTES_PER_SAMPLE
    while True:
        data = output.read(BLOCK_BYTES // frame * frame)
        if late.is_set():
            raise FfmpegTimeoutError
        samples = np.frombuffer(data[: len(data) // frame * frame], dtype=">f4").astype(np.float32)
        if not len(samples):
            return
        yield samples.reshape(-1, channels)


def _read_declared_seconds(log: IO[bytes]) -> float | None:
    """Length that the container states; None if it states none or ffmpeg guessed it from the bit rate."""
    log.seek(0)
    said = log.read(LOG_BYTES)
    log.seek(0, 2)
    match = DURATION.search(said)
    if match is None or ESTIMATED_DURATION in said:
        return None
    hours, minutes, seconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
