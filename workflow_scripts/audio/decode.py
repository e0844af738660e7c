"""One clip of one audio file as mono float32 at the wanted rate, or the reason why there is none.

libsndfile reads wav, aiff, flac, ogg and mp3; ffmpeg is asked for the rest and where libsndfile stopped early. Audio is
read in blocks and resampled as it comes, so a header that claims gigabytes costs nothing.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from workflow_scripts.audio import ffmpeg
from workflow_scripts.audio.ffmpeg import AudioStream

FULL_SCALE = 32768  # int16 sample value of amplitude 1.0
RESAMPLER_QUALITY = "HQ"  # soxr: 20-bit precision, more than 16-bit storage keeps
BLOCK_SAMPLES = 1 << 18  # over all channels: 1 MiB of float32, small beside the interpreter
MARGIN_SECONDS = (
    0.1  # read on both sides of a part of a file; longer than half the resampling filter at any rate allowed below
)
#: peak below which nothing is left to hear: three int16 steps (-80 dBFS); dithered digital silence peaks at two
SILENT_PEAK = 1e-4
#: peak above which samples cannot be on a scale of one: 24 dB over; lossy decoders overshoot by a few dB
MAX_PEAK = 16.0
MIN_SECONDS = 0.025  # one 25 ms analysis window; shorter holds no spectrum to speak of
MAX_SECONDS = 1800.0  # longer than a song; at 16 kHz 115 MB of float32 in each process
LOWEST_RATE, HIGHEST_RATE = 4_000, 768_000  # Hz: half of telephone speech; the highest rate converters are sold with
COMPLETE_SHARE = (
    0.9  # share of what the header promises below which a clip counts as truncated; codecs pad or trim a few per cent
)
FFMPEG_GAIN = 1.01  # decoders differ by some hundred samples of padding, which is no sign that one got further
FFMPEG_TIMEOUT_SECONDS = 100.0  # for ffmpeg on one file: about a hundred times what a long song takes
UNKNOWN_FRAMES = 1 << 62  # libsndfile states this or more where a stream has no length
UNKNOWN_BYTES = 0x7FFF0000  # so do programs that write a wav to a pipe and cannot come back to fill in its length
CLAIMED_BYTES = re.compile(
    r"^ ?(?:data|SSND)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE
)  # in libsndfile's log of wav and aiff
TEXT_PROBE_BYTES = 512  # looked at to tell an error page or a pointer file from damaged audio

#: every reason a clip can be refused for, and what it means
REASONS = {
    "missing": "the file is not there",
    "unreadable": "the file cannot be opened or is not a plain file",
    "empty": "no bytes, or a sound header without samples",
    "not_audio": "the file holds text, such as an error page or a pointer",
    "undecodable": "neither libsndfile nor ffmpeg gets audio out of it",
    "truncated": f"less than {COMPLETE_SHARE:.0%} of the length stated in the file is there",
    "out_of_range": "the clip starts after the end of the file",
    "too_short": f"shorter than {MIN_SECONDS * 1000:g} ms",
    "too_long": f"longer than {MAX_SECONDS:g} s and no clip length was set",
    "too_large": "decoding it needs more memory than a process may use",
    "bad_sample_rate": f"sample rate outside {LOWEST_RATE} to {HIGHEST_RATE} Hz",
    "non_finite": "NaN or infinite samples",
    "over_full_scale": f"peak above {MAX_PEAK:g} times full scale",
    "silent": f"peak below {SILENT_PEAK:g} of full scale",
    "constant": "nothing but a constant offset",
    "cancels_in_mono": "the channels cancel to silence in the mean",
    "timeout": "decoding took too long",
    "crashed": "the decoder crashed",
}


class UnusableAudioError(Exception):
    """A clip that cannot be used; `reason` is a key of `REASONS`."""

    def __init__(self, reason: str) -> None:
        """Take the reason."""
        assert reason in REASONS, reason
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Segment:
    """The wanted part of a file in seconds; `end` None: to its end."""

    start: float
    end: float | None


class _SignalRange:
    """Running extremes of a clip before resampling, which would add ripple to a constant."""

    def __init__(self) -> None:
        self.frames = 0
        self._peak = 0.0  # over all channels
        self._lowest, self._highest = math.inf, -math.inf  # of the mean of the channels

    def add(self, block: np.ndarray) -> None:
        if not len(block):
            return
        mono = block.mean(axis=1, dtype=np.float32)
        self.frames += len(block)
        self._peak = max(self._peak, float(block.max()), -float(block.min()))
        self._lowest, self._highest = min(self._lowest, float(mono.min())), max(self._highest, float(mono.max()))

    def require_sound(self) -> None:
        """Raise `UnusableAudioError` if there is nothing to hear."""
        if self._peak < SILENT_PEAK:
            raise UnusableAudioError("silent")
        if max(self._highest, -self._lowest) < SILENT_PEAK:
            raise UnusableAudioError("cancels_in_mono")
        if self._highest - self._lowest < 2 * SILENT_PEAK:
            raise UnusableAudioError("constant")


@dataclass(frozen=True, kw_only=True)
class _Decoding:
    """What one decoder gave: the clip, and its share of what the file promises (None: it promises nothing)."""

    audio: np.ndarray
    share: float | None
    levels: _SignalRange

    @property
    def complete(self) -> bool:
        return len(self.audio) > 0 and (self.share is None or self.share >= COMPLETE_SHARE)


def decode(
    path: Path,
    *,
    sample_rate: int,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    max_seconds: float | None = None,
    stream: int = 0,
    may_be_silent: bool = False,
    timeout_seconds: float = FFMPEG_TIMEOUT_SECONDS,
) -> np.ndarray:
    """Decode a clip: float32 (samples,), mean of the channels, at `sample_rate` Hz; may overshoot [-1, 1] a little.

    The clip is the part from `start_seconds` (None: start of the file) to `end_seconds` (None: its end), of which at
    most the first `longest_seconds` are kept. Samples lie on the grid of the whole file resampled at once, and their
    number is the part's length wherever the file is long enough. `stream` is one of several in a container that only
    ffmpeg reads. Raises `UnusableAudioError`, for silence too unless it `may_be_silent`.
    """
    _check_file(path)
    start = start_seconds or 0.0
    ends = [end for end in (end_seconds, None if max_seconds is None else start + max_seconds) if end is not None]
    part = Segment(start=start, end=min(ends, default=None))
    if part.end is not None and part.end - part.start > MAX_SECONDS:
        raise UnusableAudioError("too_long")
    heard = _decode_with_fallback(path, part, sample_rate=sample_rate, stream=stream, timeout_seconds=timeout_seconds)
    if not len(heard.audio):
        raise UnusableAudioError("empty" if heard.share is None else "undecodable")
    if not heard.complete:
        raise UnusableAudioError("truncated")
    if len(heard.audio) < MIN_SECONDS * sample_rate:
        raise UnusableAudioError("too_short")
    if not may_be_silent:
        heard.levels.require_sound()
    return heard.audio


def to_int16(audio: np.ndarray) -> np.ndarray:
    """Round float audio to little-endian int16 and clip what is beyond full scale; any shape."""
    scaled = audio * FULL_SCALE
    np.rint(scaled, out=scaled)
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1, out=scaled).astype("<i2")


def _check_file(path: Path) -> None:
    if not path.exists():
        raise UnusableAudioError("missing")
    if not path.is_file():  # a pipe or a device would block or never end
        raise UnusableAudioError("unreadable")
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise UnusableAudioError("empty")
    except OSError as error:
        raise UnusableAudioError("unreadable") from error


def _decode_with_fallback(
    path: Path, part: Segment, *, sample_rate: int, stream: int, timeout_seconds: float
) -> _Decoding:
    """Ask libsndfile, and ffmpeg where that gave nothing or too little; ffmpeg's result only where it hears more."""
    first = None if stream else _decode_with_soundfile(path, part, sample_rate=sample_rate)
    if first is not None and first.complete:
        return first
    try:
        with ffmpeg.open_stream(path, stream=stream, timeout_seconds=timeout_seconds) as sound:
            second = _read_segment(sound, part, sample_rate=sample_rate, first_frame=0)
    except ffmpeg.FfmpegTimeoutError as error:
        raise UnusableAudioError("timeout") from error
    except ffmpeg.FfmpegError as error:
        if first is None:
            raise UnusableAudioError("not_audio" if _is_text(path) else "undecodable") from error
        return first
    if first is not None and len(second.audio) <= FFMPEG_GAIN * len(first.audio):
        return first
    if not len(second.audio):
        raise UnusableAudioError("undecodable")
    return second


def _decode_with_soundfile(path: Path, part: Segment, *, sample_rate: int) -> _Decoding | None:
    """None when libsndfile cannot open the file, or when no length is stated: it then loses the last block."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(soundfile.SoundFile(path))
        except (soundfile.SoundFileError, TypeError, ValueError):  # TypeError: a name that ends in .raw
            return None
        if file.frames >= UNKNOWN_FRAMES:
            return None
        sound = AudioStream(
            sample_rate=file.samplerate,
            channels=file.channels,
            declared_frames=_read_declared_frames(file),
            blocks=_read_blocks(file),
        )
        first_frame = _start_frame(sound, part, sample_rate=sample_rate) if file.seekable() else 0
        if 0 < first_frame < file.frames:
            try:
                file.seek(first_frame)
            except soundfile.SoundFileError:
                return None
        else:
            first_frame = 0
        return _read_segment(sound, part, sample_rate=sample_rate, first_frame=first_frame)


def _read_declared_frames(file: soundfile.SoundFile) -> int:
    """Frames that the header states; libsndfile lowers `frames` to what is in the file, and only its log tells."""
    claimed = CLAIMED_BYTES.search(file.extra_info)
    if claimed is None:
        return file.frames
    stated, present = map(int, claimed.groups())
    return file.frames if stated >= UNKNOWN_BYTES or not present else round(file.frames * max(1.0, stated / present))


def _read_blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    """Blocks until the end or the first error; what came before an error is kept and judged by its length."""
    frames = max(1, BLOCK_SAMPLES // file.channels)
    while True:
        try:
            block = file.read(frames, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, ValueError):  # ValueError: the number of channels changed
            return
        if not len(block):
            return
        yield block


def _start_frame(sound: AudioStream, part: Segment, *, sample_rate: int) -> int:
    """Frame to start reading at: a margin before the part, at a time that is a whole number of output samples."""
    step = sound.sample_rate // math.gcd(sound.sample_rate, sample_rate) if sound.sample_rate > 0 else 1
    return max(0, int((part.start - MARGIN_SECONDS) * sound.sample_rate)) // step * step


def _read_segment(sound: AudioStream, part: Segment, *, sample_rate: int, first_frame: int) -> _Decoding:
    """Downmix, check and resample `sound`, whose first block starts at `first_frame`. Raises `UnusableAudioError`."""
    rate = sound.sample_rate
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise UnusableAudioError("bad_sample_rate")
    start = round(part.start * rate)
    end = None if part.end is None else round(part.end * rate)
    if sound.declared_frames and sound.declared_frames <= start:
        raise UnusableAudioError("out_of_range")
    levels = _SignalRange()
    resampler = (
        None
        if rate == sample_rate
        else soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality=RESAMPLER_QUALITY)
    )
    begin = _start_frame(sound, part, sample_rate=sample_rate)
    stop = None if end is None else end + round(MARGIN_SECONDS * rate)
    pieces: list[np.ndarray] = []
    position = first_frame
    for block in sound.blocks:
        following = position + len(block)
        if end is None and following - start > MAX_SECONDS * rate:
            raise UnusableAudioError("too_long")
        wanted = block[max(0, begin - position) : None if stop is None else max(0, stop - position)]
        if len(wanted):
            _require_usable_samples(wanted)
            mono = wanted.mean(axis=1, dtype=np.float32)
            pieces.append(mono if resampler is None else resampler.resample_chunk(mono))
        levels.add(block[max(0, start - position) : None if end is None else max(0, end - position)])
        position = following
        if stop is not None and position >= stop:
            break
    if resampler is not None:
        pieces.append(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
    if position <= start and position > first_frame:
        raise UnusableAudioError("out_of_range")
    audio = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    first = round(part.start * sample_rate) - begin * sample_rate // rate
    count = None if part.end is None else round(part.end * sample_rate) - round(part.start * sample_rate)
    audio = audio[first:][:count]
    return _Decoding(audio=audio, share=_share_present(levels.frames, sound.declared_frames, start, end), levels=levels)


def _share_present(frames: int, declared: int | None, start: int, end: int | None) -> float | None:
    """Share of the promised frames of the part that came."""
    if not declared:
        return None
    promised = (declared if end is None else min(declared, end)) - start
    return frames / promised


def _require_usable_samples(block: np.ndarray) -> None:
    """Refuse samples that would spoil the resampler's state."""
    largest = max(float(block.max()), -float(block.min()))  # NaN and infinities come through
    if not math.isfinite(largest):
        raise UnusableAudioError("non_finite")
    if largest > MAX_PEAK:
        raise UnusableAudioError("over_full_scale")


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(TEXT_PROBE_BYTES)
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter.isspace() for letter in text)
