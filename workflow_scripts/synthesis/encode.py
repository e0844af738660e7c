"""From samples to the bytes of a file, the same bytes each time for one version of libsndfile."""

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
    """Bytes of an .mp3, .ogg (Vorbis) or .wav (16 bit) file that holds `audio`, float32 (samples,)."""
    buffer = io.BytesIO()
    subtype = {".mp3": "MPEG_LAYER_III", ".ogg": "VORBIS", ".wav": "PCM_16"}[suffix]
    with soundfile.SoundFile(buffer, "w", sample_rate, 1, subtype=subtype, format=suffix[1:].upper()) as file:
        for first in range(0, len(audio), BLOCK):
            file.write(audio[first : first + BLOCK])
    content = buffer.getvalue()
    return _fix_serial_number(content) if suffix == ".ogg" else content


def encode_stems(tracks: Sequence[np.ndarray], *, sample_rate: int) -> bytes:
    """Bytes of an .mp4 with one AAC stream for each of `tracks`, float32 (samples,), as .stem.mp4 files are.

    Raises `UserError` where there is no ffmpeg that can write it.
    """
    with tempfile.TemporaryDirectory() as folder:
        names = [Path(folder, f"{number}.wav") for number in range(len(tracks))]
        for name, audio in zip(names, tracks, strict=True):
            name.write_bytes(encode_audio(audio, sample_rate=sample_rate, suffix=".wav"))
        target = Path(folder, "stem.mp4")
        command = [
            *(ffmpeg.find_program(), "-nostdin", "-loglevel", "error", "-threads", "1"),
            *(word for name in names for word in ("-i", str(name))),
            *(word for number in range(len(names)) for word in ("-map", f"{number}:a")),
            # the same bytes each time; 256 kbit/s as MUSDB18
            *("-c:a", "aac", "-b:a", "256k", "-fflags", "+bitexact", "-flags:a", "+bitexact", str(target)),
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            said = " ".join(result.stderr.split())[-200:]
            raise UserError(f"{command[0]} cannot write the twin's .stem.mp4: install another ffmpeg ({said})")
        return target.read_bytes()


def _fix_serial_number(ogg: bytes) -> bytes:
    """Set every page's stream serial number, which libsndfile draws at random, to 1, and mend the checksums."""
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
    """Ogg's CRC-32: zlib's polynomial with the bits in the other order, and neither preset nor inverted."""
    reflected = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)
