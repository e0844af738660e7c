"""Decoding of one clip of an audio file to mono float32 at a given rate, or the reason why the clip is unusable.

libsndfile reads wav, aiff, flac, ogg and mp3; ffmpeg reads the rest, and files that libsndfile cannot read to their
end. What either gives is compared with the structure of the file (`structure`), since decoders estimate lengths and
pass over damage. Audio is read and resampled block by block, so a header that claims gigabytes costs no memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from workflow_scripts.audio import ffmpeg
from workflow_scripts.audio.ffmpeg import AudioStream
from workflow_scripts.audio.samples import FULL_SCALE
from workflow_scripts.audio.structure.facts import MIN_SHARE, StreamFacts
from workflow_scripts.audio.structure.reading import read_facts

RESAMPLER_QUALITY = "HQ"  # soxr: 20-bit precision, more than 16-bit storage keeps
BLOCK_SAMPLES = 1 << 18  # over all channels: 1 MiB of float32, small beside the interpreter
#: read on both sides of a segment; longer than half the resampling filter at any rate allowed below
MARGIN_SECONDS = 0.1
#: decoded before that: an MP3 frame may use the bits of nine before it, 0.24 s; at 0.1 s errors of -78 dB were seen
PREROLL_SECONDS = 0.5
#: peak below which a clip is silent: three int16 steps (-80 dBFS); dithered digital silence peaks at two
SILENT_PEAK = 1e-4
#: peak above which samples cannot be on a scale of one: 24 dB over; lossy decoders overshoot by a few dB
MAX_PEAK = 16.0
MIN_SECONDS = 0.025  # one 25 ms analysis window; a shorter clip has no meaningful spectrum
MAX_SECONDS = 1800.0  # longer than a song; at 16 kHz 115 MB of float32 in each process
MIN_RATE, MAX_RATE = 4_000, 768_000  # Hz: half of telephone speech; the highest rate converters are sold with
#: ratio of lengths from which ffmpeg's result replaces libsndfile's: decoders differ by some hundred samples of padding
FFMPEG_GAIN = 1.01
FFMPEG_TIMEOUT_SECONDS = 100.0  # for one file: about a hundred times what a long song takes
UNKNOWN_FRAMES = 1 << 62  # libsndfile states this or more for a stream without a length
#: bits per sample up to which float32 holds every integer sample
EXACT_BITS = 24
TEXT_PROBE_BYTES = 512  # enough to tell an error page or a pointer file from damaged audio

#: reasons for which a clip is quarantined, with their meaning
REASONS = {
    "missing": "the file does not exist",
    "unreadable": "the file cannot be opened or is not a plain file",
    "empty": "no bytes, or a sound header without samples",
    "not_audio": "the file contains text, such as an error page or a pointer",
    "undecodable": "neither libsndfile nor ffmpeg can decode the file",
    "truncated": f"less than {MIN_SHARE:.0%} of the length stated in the file is present, or an Ogg stream has no end",
    "damaged": "a checksum in the file (Ogg, FLAC) shows that its audio was changed",
    "out_of_range": "the clip starts after the end of the file",
    "too_short": f"shorter than {MIN_SECONDS * 1000:g} ms",
    "too_long": f"longer than {MAX_SECONDS:g} s and no clip length was set",
    "too_large": "decoding needs more memory than a process may use",
    "bad_sample_rate": f"sample rate outside {MIN_RATE} to {MAX_RATE} Hz",
    "non_finite": "NaN or infinite samples",
    "over_full_scale": f"peak above {MAX_PEAK:g} times full scale",
    "silent": f"peak below {SILENT_PEAK:g} of full scale",
    "constant": "nothing but a constant offset",
    "cancels_in_mono": "the channels cancel to silence in the mean",
    "timeout": "decoding took too long",
    "crashed": "the decoder crashed",
}

#: defects with which a clip is used, with their meaning; `clips.parquet` lists them
DEFECTS = {
    "incomplete": "a part of the length stated in the file is missing, or its last frame is cut off",
    "stray_bytes": "bytes between or behind the audio belong to neither it nor a tag",
    "checksum": "an mp3 was changed after it was encoded: damaged, or its volume set by a program",
    "joined": "another file follows in the same file, and may be left out",
    "header": "the header (wav, AIFF, CAF) contradicts itself: rate, channels or bits of the samples may be wrong",
    "decoder_errors": "the decoder reported errors: parts may be left out or replaced",
}


class UnusableAudioError(Exception):
    """An unusable clip; `reason` is a key of `REASONS`."""

    def __init__(self, reason: str) -> None:
        """Create the error of a clip."""
        assert reason in REASONS, reason
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A decoded clip: float32 (samples,), mean of the channels; `defects` are keys of `DEFECTS`."""

    audio: np.ndarray
    defects: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Segment:
    """The requested part of a file in seconds; `end` None: to the end of the file."""

    start: float
    end: float | None

    def bounds(self, rate: int) -> tuple[int, int | None]:
        """Return start and end in frames at a rate in Hz."""
        return round(self.start * rate), None if self.end is None else round(self.end * rate)

    def reaches(self, seconds: float) -> bool:
        """Return whether the part goes on behind a position."""
        return self.end is None or self.end > seconds


class _SignalRange:
    """Running extremes of a clip, taken before resampling, which would add ripple to a constant."""

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
        """Raise `UnusableAudioError` for silence, a constant, or channels that cancel each other."""
        if self._peak < SILENT_PEAK:
            raise UnusableAudioError("silent")
        if max(self._highest, -self._lowest) < SILENT_PEAK:
            raise UnusableAudioError("cancels_in_mono")
        if self._highest - self._lowest < 2 * SILENT_PEAK:
            raise UnusableAudioError("constant")


@dataclass(frozen=True, kw_only=True)
class _Decoding:
    """Output of one decoder: the clip, and its share of the length that should be there (None: not known)."""

    audio: np.ndarray
    share: float | None
    signal_range: _SignalRange
    errors: bool  # whether the decoder met any

    @property
    def whole(self) -> bool:
        return len(self.audio) > 0 and (self.share is None or self.share >= 1) and not self.errors


def decode(path: Path, *, sample_rate: int, **options: Any) -> np.ndarray:
    """Return the audio of `decode_clip`, which states the options."""
    return decode_clip(path, sample_rate=sample_rate, **options).audio


def decode_clip(
    path: Path,
    *,
    sample_rate: int,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    max_seconds: float | None = None,
    stream: int = 0,
    may_be_silent: bool = False,
    timeout_seconds: float = FFMPEG_TIMEOUT_SECONDS,
) -> Clip:
    """Decode a clip at `sample_rate` Hz; its samples may be above full scale.

    The clip is the segment from `start_seconds` (None: start of the file) to `end_seconds` (None: its end), of which at
    most the first `max_seconds` are kept. Its samples are on the grid of the whole file resampled at once, and their
    number is the segment's length wherever the file is long enough. `stream` is the number of an audio stream in a
    container that only ffmpeg reads. `timeout_seconds` limits ffmpeg. Raises `UnusableAudioError`, for silence too
    unless the clip `may_be_silent`.
    """
    _check_file(path)
    start = start_seconds or 0.0
    ends = [end for end in (end_seconds, None if max_seconds is None else start + max_seconds) if end is not None]
    segment = Segment(start=start, end=min(ends, default=None))
    if segment.end is not None and segment.end - segment.start > MAX_SECONDS:
        raise UnusableAudioError("too_long")
    facts = read_facts(path, stream=stream)
    faults = [name for name, position in facts.faults.items() if segment.reaches(position)]
    for reason in ("truncated", "damaged"):
        if reason in faults:
            raise UnusableAudioError(reason)
    decoding = _decode_with_fallback(
        path, segment, facts, sample_rate=sample_rate, stream=stream, timeout_seconds=timeout_seconds
    )
    if not len(decoding.audio):
        raise UnusableAudioError("empty" if decoding.share is None else "undecodable")
    if decoding.share is not None and decoding.share < MIN_SHARE:
        raise UnusableAudioError("truncated")
    has_errors = decoding.errors and not facts.is_verified
    if has_errors and facts.has_checksums:
        raise UnusableAudioError("damaged")
    if len(decoding.audio) < MIN_SECONDS * sample_rate:
        raise UnusableAudioError("too_short")
    if not may_be_silent:
        decoding.signal_range.require_sound()
    if decoding.share is not None and decoding.share < 1:
        faults.append("incomplete")
    if has_errors:
        faults.append("decoder_errors")
    return Clip(audio=decoding.audio, defects=tuple(sorted(set(faults))))


def to_int16(audio: np.ndarray) -> tuple[np.ndarray, float]:
    """Round float audio of any shape to little-endian int16; audio above full scale is scaled to fit.

    Returns the samples and the factor they were scaled by, 1.0 for audio within full scale.
    """
    peak = max(float(audio.max(initial=0.0)), -float(audio.min(initial=0.0)))
    factor = 1.0 if np.rint(peak * FULL_SCALE) <= FULL_SCALE else 1.0 / peak
    scaled = audio * np.float32(FULL_SCALE * factor)
    np.rint(scaled, out=scaled)
    # full scale itself has no positive int16 value: the nearest is one step below
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1, out=scaled).astype("<i2"), factor


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
    path: Path, segment: Segment, facts: StreamFacts, *, sample_rate: int, stream: int, timeout_seconds: float
) -> _Decoding:
    """Decode with libsndfile, then with ffmpeg unless that result is whole; return the whole or the longer result."""
    by_soundfile = None if stream else _decode_with_soundfile(path, segment, facts, sample_rate=sample_rate)
    if by_soundfile is not None and by_soundfile.whole:
        return by_soundfile
    try:
        by_ffmpeg = _decode_with_ffmpeg(
            path, segment, facts, sample_rate=sample_rate, stream=stream, timeout_seconds=timeout_seconds
        )
    except ffmpeg.FfmpegTimeoutError as error:
        raise UnusableAudioError("timeout") from error
    except ffmpeg.FfmpegError as error:
        if by_soundfile is None:
            raise UnusableAudioError("not_audio" if _is_text(path) else "undecodable") from error
        return by_soundfile
    if by_soundfile is not None:
        ratio = len(by_ffmpeg.audio) / max(1, len(by_soundfile.audio))
        mends_errors = by_soundfile.errors and by_ffmpeg.whole and ratio * FFMPEG_GAIN >= 1
        return by_ffmpeg if ratio > FFMPEG_GAIN or mends_errors else by_soundfile
    if not len(by_ffmpeg.audio):
        raise UnusableAudioError("undecodable")
    return by_ffmpeg


def _decode_with_ffmpeg(
    path: Path, segment: Segment, facts: StreamFacts, *, sample_rate: int, stream: int, timeout_seconds: float
) -> _Decoding:
    """Decode with ffmpeg. A stated length is that of all streams: the picture, or another sound, may be longer."""
    source: dict[str, Any] = {"stream": stream, "start_byte": facts.start_byte, "timeout_seconds": timeout_seconds}
    with ffmpeg.open_stream(path, **source) as opened:
        decoding = _read_segment(opened, segment, facts, sample_rate=sample_rate, first_frame=0)
    stated = None if opened.declared_frames is None else opened.declared_frames / opened.sample_rate
    if facts.seconds is not None or stated is None or decoding.share is None or decoding.share == 1:
        return decoding
    seconds = ffmpeg.measure_seconds(path, stated_seconds=stated, **source)
    if seconds is None:
        return decoding
    facts = replace(facts, seconds=seconds, padding_seconds=ffmpeg.DURATION_SLACK_SECONDS)
    return replace(decoding, share=_share_present(decoding.signal_range.frames, opened, segment, facts))


def _decode_with_soundfile(path: Path, segment: Segment, facts: StreamFacts, *, sample_rate: int) -> _Decoding | None:
    """Decode with libsndfile; None if it cannot open the file, or would end before the clip does."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(_SequentialFile(os.fsencode(path)))  # a name may be in any bytes
        except (soundfile.SoundFileError, TypeError, ValueError):  # TypeError: a name that ends in .raw
            return None
        if file.frames >= UNKNOWN_FRAMES:  # the last block would be lost
            return None
        if file.subtype.startswith("MPEG") and facts.seconds is None:  # `frames` is an estimate, at which it stops
            return None
        present = (file.frames / file.samplerate if file.samplerate else 0.0) + facts.padding_seconds
        if facts.seconds is not None and present < facts.seconds and segment.reaches(present):
            return None
        samples = _SoundFileSamples(file, facts)
        stream = AudioStream(
            sample_rate=file.samplerate,
            channels=file.channels,
            declared_frames=round(file.frames / facts.present_share),
            read=samples.read,
            slack_frames=0,
            has_errors=samples.has_errors,
        )
        first_frame = _seek_frame(stream, segment, facts, sample_rate=sample_rate) if file.can_seek else 0
        if 0 < first_frame < file.frames:
            try:
                file.seek(first_frame)
            except soundfile.SoundFileError:
                return None
        else:
            first_frame = 0
        decoding = _read_segment(stream, segment, facts, sample_rate=sample_rate, first_frame=first_frame)
        samples.require_md5()
        return decoding


class _SequentialFile(soundfile.SoundFile):
    """A file that is read without seeking: soundfile seeks behind each block, and lossy decoders begin anew there."""

    def seekable(self) -> bool:
        """Return False, so that reading does not seek."""
        return False

    @property
    def can_seek(self) -> bool:
        return bool(super().seekable())


class _SoundFileSamples:
    """Samples of a file from its current position on."""

    def __init__(self, file: soundfile.SoundFile, facts: StreamFacts) -> None:
        self._file, self._facts = file, facts
        self._failed = self._at_end = False
        self._digest = hashlib.md5(usedforsecurity=False)

    def read(self, frames: int | None) -> Iterator[np.ndarray]:
        """Yield blocks of so many frames in all, until the end or the first error; the audio before it is kept."""
        present = self._file.frames - self._file.tell()  # behind them libFLAC takes a tag for a damaged frame
        has_md5 = self._facts.md5 is not None and self._facts.bits <= EXACT_BITS and present == self._file.frames
        left = present if frames is None else min(frames, present)
        while left > 0:
            size = min(max(1, BLOCK_SAMPLES // self._file.channels), left)
            left -= size
            try:
                block = self._file.read(size, dtype="float32", always_2d=True)
            except (soundfile.SoundFileError, ValueError):  # ValueError: the number of channels changed
                self._failed = True
                return
            if not len(block):
                break
            if has_md5:
                self._digest.update(_to_bytes(block, self._facts.bits))
            yield block
        self._at_end = has_md5 and frames is None

    def has_errors(self) -> bool:
        """Return whether reading ended with an error."""
        return self._failed

    def require_md5(self) -> None:
        """Raise `UnusableAudioError` if all samples were read and are not those that were written."""
        if self._at_end and self._digest.digest() != self._facts.md5:
            raise UnusableAudioError("damaged")


def _to_bytes(block: np.ndarray, bits: int) -> bytes:
    """Convert float samples to the little-endian integers of so many bits that they were decoded from."""
    scaled = block * np.float32(2.0 ** (bits - 1))
    width = (bits + 7) // 8
    if width <= 2:
        return scaled.astype(f"<i{width}").tobytes()
    return scaled.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :width].tobytes()


def _start_frame(stream: AudioStream, segment: Segment, *, sample_rate: int) -> int:
    """Compute the first frame to read: a margin before the segment, at a whole number of output samples."""
    step = stream.sample_rate // math.gcd(stream.sample_rate, sample_rate) if stream.sample_rate > 0 else 1
    return max(0, int((segment.start - MARGIN_SECONDS) * stream.sample_rate)) // step * step


def _seek_frame(stream: AudioStream, segment: Segment, facts: StreamFacts, *, sample_rate: int) -> int:
    """Compute the frame to seek: before the first to read, since decoders of lossy formats depend on what came before.

    Frames before it are decoded and left out, so their number does not change the clip.
    """
    latest = math.inf if facts.last_page_seconds is None else facts.last_page_seconds
    first_seconds = _start_frame(stream, segment, sample_rate=sample_rate) / stream.sample_rate
    return max(0, int((min(first_seconds, latest) - PREROLL_SECONDS) * stream.sample_rate))


def _read_segment(
    stream: AudioStream, segment: Segment, facts: StreamFacts, *, sample_rate: int, first_frame: int
) -> _Decoding:
    """Read a segment of `stream` as mono at `sample_rate`; the first block starts at frame `first_frame` of the file.

    Raises `UnusableAudioError`.
    """
    rate = stream.sample_rate
    if not MIN_RATE <= rate <= MAX_RATE:
        raise UnusableAudioError("bad_sample_rate")
    # bounds of the segment, and of what is read around it for the resampler, in frames of the file
    start, end = segment.bounds(rate)
    length = _known_length(stream, facts)
    if length.frames and length.frames <= start and not stream.slack_frames:  # ffmpeg goes on behind a wrong length
        raise UnusableAudioError("out_of_range")
    read_from = _start_frame(stream, segment, sample_rate=sample_rate)
    read_to = None if end is None else end + round(MARGIN_SECONDS * rate)
    signal_range = _SignalRange()
    resampler = (
        None
        if rate == sample_rate
        else soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality=RESAMPLER_QUALITY)
    )
    # downmix and resample block by block; the signal range covers the segment without its margins
    pieces: list[np.ndarray] = []
    position = first_frame
    for block in stream.read(None if read_to is None else read_to - first_frame):
        following = position + len(block)
        if end is None and following - start > MAX_SECONDS * rate:
            raise UnusableAudioError("too_long")
        read = block[max(0, read_from - position) :]
        if len(read):
            _require_usable_samples(read)
            mono = read.mean(axis=1, dtype=np.float32)
            pieces.append(mono if resampler is None else resampler.resample_chunk(mono))
        signal_range.add(block[max(0, start - position) : None if end is None else max(0, end - position)])
        position = following
    if resampler is not None:
        pieces.append(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
    if position <= start and position > first_frame:
        is_lost = facts.seconds is not None and segment.start < facts.seconds - facts.padding_seconds
        raise UnusableAudioError("truncated" if is_lost else "out_of_range")
    # cut the margins off
    audio = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    first = round(segment.start * sample_rate) - read_from * sample_rate // rate
    count = None if segment.end is None else round(segment.end * sample_rate) - round(segment.start * sample_rate)
    audio = audio[first:][:count]
    return _Decoding(
        audio=audio,
        share=_share_present(signal_range.frames, stream, segment, facts),
        signal_range=signal_range,
        errors=stream.has_errors(),
    )


@dataclass(frozen=True, kw_only=True)
class _Length:
    """Length of a file in frames (None or 0: not known), of which a decoder may leave out the last `slack`."""

    frames: int | None
    slack: int


def _known_length(stream: AudioStream, facts: StreamFacts) -> _Length:
    """Return the length that the structure of the file gives; where that is not known, the one in its header."""
    if facts.seconds is None:
        return _Length(frames=stream.declared_frames, slack=stream.slack_frames)
    rate = stream.sample_rate
    return _Length(frames=round(facts.seconds * rate), slack=round(facts.padding_seconds * rate))


def _share_present(frames: int, stream: AudioStream, segment: Segment, facts: StreamFacts) -> float | None:
    """Compute the share of a segment's frames that are present, at most 1; None if the length is not known."""
    length, (start, end) = _known_length(stream, facts), segment.bounds(stream.sample_rate)
    if not length.frames:
        return None
    last, least = length.frames, length.frames - length.slack
    if end is not None:
        last, least = min(last, end), min(least, end)
    return 1.0 if frames >= least - start else frames / (last - start)


def _require_usable_samples(block: np.ndarray) -> None:
    """Raise `UnusableAudioError` for samples that would corrupt the resampler's state."""
    largest = max(float(block.max()), -float(block.min()))  # NaN and infinities propagate
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
