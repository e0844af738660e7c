"""Encoding of samples to the bytes of a file, reproducible for one version of libsndfile."""

from __future__ import annotations

import io
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from workflow_scripts.audio import ffmpeg
from workflow_scripts.core.errors import UserError

BLOCK = 16_384  # samples per write: libsndfile's Vorbis encoder overflows the stack on writes of many seconds

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_SERIAL, _CRC, _SEGMENTS = slice(14, 18), slice(22, 26), 26  # offsets in an Ogg page's header (RFC 3533, section 6)


def encode_audio(audio: np.ndarray, *, sample_rate: int, suffix: str) -> bytes:
    """Encode `audio`, float32 (samples,), as the bytes of an .mp3, .ogg (Vorbis) or .wav (16 bit) file."""
    buffer = io.BytesIO()
    subtype = {".mp3": "MPEG_LAYER_III", ".ogg": "VORBIS", ".wav": "PCM_16"}[suffix]
    with soundfile.SoundFile(buffer, "w", sample_rate, 1, subtype=subtype, format=suffix[1:].upper()) as file:
        for first in range(0, len(audio), BLOCK):
            file.write(audio[first : first + BLOCK])
    content = buffer.getvalue()
    return _fix_serial_number(content) if suffix == ".ogg" else content


def encode_stems(tracks: Sequence[np.ndarray], *, sample_rate: int) -> bytes:
    """Encode `tracks`, float32 (samples,) each, as the bytes of an .mp4 with one AAC stream per track, like .stem.mp4.

    Raises `UserError` if ffmpeg cannot write it.
    """
    with tempfile.TemporaryDirectory() as folder:
        names = [Path(folder, f"{number}.wav") for number in range(len(tracks))]
        for name, audio in zip(names, tracks, strict=True):
            name.write_bytes(encode_audio(audio, sample_rate=sample_rate, suffix=".wav"))
        target = Path(folder, "stem.mp4")
        inputs = [word for name in names for word in ("-i", str(name))]
        streams = [word for number in range(len(names)) for word in ("-map", f"{number}:a")]
        # 256 kbit/s as in MUSDB18; `bitexact` gives the same bytes each time
        # fmt: off
        command = [
            ffmpeg.find_program(), "-nostdin", "-loglevel", "error", "-threads", "1",
            *inputs, *streams,
            "-c:a", "aac", "-b:a", "256k", "-fflags", "+bitexact", "-flags:a", "+bitexact",
            str(target),
        ]
        # fmt: on
        result = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
        if result.returncode:
            error = " ".join(result.stderr.split())[-200:]
            raise UserError(f"{command[0]} cannot write the twin's .stem.mp4: install another ffmpeg ({error})")
        return target.read_bytes()


def _fix_serial_number(ogg: bytes) -> bytes:
    """Set every page's stream serial number, which libsndfile draws at random, to 1, and update the checksums."""
    pages, position = [], 0
    while position < len(ogg):
        segments = ogg[position + _SEGMENTS]
        body = position + _SEGMENTS + 1 + segments
        end = body + sum(ogg[body - segments : body])
        page = bytearray(ogg[position:end])
        page[_SERIAL], page[_CRC] = struct.pack("<I", 1), bytes(4)
        page[_CRC] = struct.pack("<I", _compute_ogg_checksum(bytes(page)))
        pages.append(bytes(page))
        position = end
    return b"".join(pages)


def _compute_ogg_checksum(page: bytes) -> int:
    """Compute Ogg's CRC-32: zlib's polynomial with reversed bits, without initial value and final inversion."""
    reflected = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)
