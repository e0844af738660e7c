"""Memory and time of the decoding processes on hostile files, measured on the processes themselves."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.audio.recordings import encode, tone, write_tone
from tests.checkout import REPOSITORY, SHARED, needs_shared
from workflow_scripts.audio.decode import REASONS

MAX_MEMORY = 400 << 10  # KiB: numpy, ffmpeg and a clip take 60 to 130 MB; an unbounded allocation takes gigabytes
MAX_SECONDS = 30.0  # for one file; ffmpeg and libsndfile take tenths


#: program that runs its arguments and prints their peak memory: a forked process inherits the peak of its parent
MEASURING_PROGRAM = (
    "import resource, subprocess, sys\n"
    "code = subprocess.call(sys.argv[1:])\n"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)\n"
    "sys.exit(code)\n"
)


def decode_in_process(paths: list[Path]) -> tuple[list[str], int]:
    """Return a decoding process's answer for each file (a reason, or "decoded"), and its peak memory in KiB.

    The peak is the larger of the process and the programs it started.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PATH": ""}  # the bundled ffmpeg
    process = subprocess.Popen(
        [sys.executable, "-c", MEASURING_PROGRAM, sys.executable, "-m", "workflow_scripts.audio.decoder_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
        env=environment,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    tasks = b"".join(json.dumps({"path": str(path), "sample_rate": 16_000}).encode() + b"\n" for path in paths)
    threading.Thread(target=lambda: (process.stdin.write(tasks), process.stdin.close()), daemon=True).start()
    outcomes = []
    for path in paths:
        started = time.monotonic()
        line = process.stdout.readline()
        assert line, f"{path} ended the decoding process"
        answer = json.loads(line)
        process.stdout.read(answer.get("samples", 0) * 2)
        assert time.monotonic() - started < MAX_SECONDS, path
        outcomes.append(answer.get("reason", "decoded"))
    assert process.stderr is not None
    peak = int(process.stderr.read())
    assert process.wait() == 0
    return outcomes, peak


def chunk(name: bytes, content: bytes, *, stated: int | None = None, order: str = "<") -> bytes:
    return name + struct.pack(f"{order}I", len(content) if stated is None else stated) + content


def wav(*, channels=1, rate=16_000, bits=16, data=b"\x10\x20" * 8000, stated=None, more=b"") -> bytes:
    block = max(1, channels * bits // 8) & 0xFFFF
    form = struct.pack("<HHIIHH", 1, channels, rate, (rate * block) & 0xFFFFFFFF, block, bits)
    body = b"WAVE" + chunk(b"fmt ", form) + more + chunk(b"data", data, stated=stated)
    return chunk(b"RIFF", body, stated=0xFFFFFFFF if stated else None)


def aiff(*, frames: int, channels: int = 1) -> bytes:
    rate = b"\x40\x0c\xfa\x00" + bytes(6)  # 16 kHz as an 80-bit float
    common = struct.pack(">hIh", channels, frames, 16) + rate
    sound = chunk(b"SSND", bytes(8) + b"\x10\x20" * 8000, stated=frames * 2 & 0xFFFFFFFF, order=">")
    return chunk(b"FORM", b"AIFF" + chunk(b"COMM", common, order=">") + sound, order=">")


def flac(source: Path) -> bytes:
    data = bytearray(source.read_bytes())
    data[21] |= 0x0F  # STREAMINFO: 2^36 - 1 samples
    data[22:26] = b"\xff" * 4
    return bytes(data)


def caf() -> bytes:
    description = struct.pack(">d4sIIIII", 16000.0, b"lpcm", 0, 2, 1, 1, 16)
    return (
        b"caff\x00\x01\x00\x00"
        + b"desc" + struct.pack(">q", len(description)) + description
        + b"data" + struct.pack(">q", 1 << 40) + bytes(4) + b"\x10\x20" * 8000
    )  # fmt: skip


def au() -> bytes:
    return b".snd" + struct.pack(">5I", 24, 0xFFFFFFF0, 3, 16_000, 1) + b"\x10\x20" * 8000


def m4a(source: Path, kind: bytes) -> bytes:
    """Make a file with a table that claims 2^28 entries."""
    data = bytearray(source.read_bytes())
    place = data.index(kind) + 8
    data[place : place + 4] = struct.pack(">I", 1 << 28)
    return bytes(data)


def ogg(source: Path) -> bytes:
    data = bytearray(source.read_bytes())
    last = data.rindex(b"OggS")
    data[last + 6 : last + 14] = struct.pack("<q", 1 << 40)  # the position of the last sample
    return bytes(data)


def id3() -> bytes:
    return b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + b"APIC\x7f\x7f\x7f\x7f\x00\x00" + bytes(1000)


@pytest.fixture
def oversized_files(tmp_path: Path) -> list[Path]:
    """Write files of some kilobytes that claim gigabytes, and a sparse one of four gigabytes."""
    source = write_tone(tmp_path / "source.wav", 0.5)
    sound = {name: encode(source, tmp_path / f"good.{name}") for name in ("flac", "m4a", "ogg")}
    contents = {
        "data.wav": wav(stated=0xFFFFFF00),
        "half.wav": wav(stated=0x7FFFFF00),
        "channels.wav": wav(channels=65_535),
        "channels1000.wav": wav(channels=1000),
        "bits.wav": wav(bits=65_535),
        "rate.wav": wav(rate=0xFFFFFFFF),
        "list.wav": wav(more=b"LIST" + struct.pack("<I", 0x7FFFFFFF)),
        "frames.aiff": aiff(frames=0x7FFFFFFF),
        "channels.aiff": aiff(frames=0x7FFFFFF, channels=0x7FFF),
        "samples.flac": flac(sound["flac"]),
        "data.caf": caf(),
        "data.au": au(),
        "sizes.m4a": m4a(sound["m4a"], b"stsz"),
        "chunks.m4a": m4a(sound["m4a"], b"stco"),
        "times.m4a": m4a(sound["m4a"], b"stts"),
        "position.ogg": ogg(sound["ogg"]),
        "tag.mp3": id3(),
    }
    paths = []
    for name, content in contents.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    with (tmp_path / "zeros.wav").open("wb") as file:
        file.write(wav(stated=0xFFFFFF00))
        file.truncate(4 << 30)  # four gigabytes that take no place on the disk
    return [*paths, tmp_path / "zeros.wav"]


def test_headers_that_claim_gigabytes_and_a_sparse_file_cost_little_memory(oversized_files):
    outcomes, peak = decode_in_process(oversized_files)
    by_name = dict(zip([path.name for path in oversized_files], outcomes, strict=True))
    assert set(outcomes) <= {"decoded", *REASONS} - {"crashed", "timeout", "missing"}, by_name
    assert {name for name, outcome in by_name.items() if outcome == "decoded"} <= {
        "list.wav",
        "data.au",
        "data.caf",
        "sizes.m4a",
        "chunks.m4a",
        "times.m4a",
        "position.ogg",
        "frames.aiff",
    }, by_name
    assert peak < MAX_MEMORY, f"{peak >> 10} MiB"


@needs_shared
@pytest.mark.slow
def test_shared_broken_files_cost_little_memory():
    outcomes, peak = decode_in_process(
        sorted(path for path in (SHARED / "audio" / "broken").rglob("*") if path.is_file())
    )
    assert "decoded" in outcomes
    assert peak < MAX_MEMORY, f"{peak >> 10} MiB"


def test_a_decoder_beyond_its_memory_limit_reports_too_large(tmp_path):
    """The memory limit of the process refuses four gigabytes."""
    code = (
        "import io, sys, numpy as np\n"
        "from workflow_scripts.audio import decoder_process\n"
        'sys.stdin = io.TextIOWrapper(io.BytesIO(b\'{"path": "x", "sample_rate": 16000}\\n\'))\n'
        "decoder_process.decode_clip = lambda path, **more: np.empty(1 << 30, np.float32)\n"
        "decoder_process.to_int16 = lambda audio: (np.zeros(4, '<i2'), 1.0)\n"
        "decoder_process.main()\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, cwd=REPOSITORY)
    assert json.loads(result.stdout.splitlines()[0]) == {"reason": "too_large"}


GOOD_NAMES = ("a.wav", "a.flac", "a.ogg", "a.mp3", "a.m4a", "a.aiff")
SUFFIXES = ("wav", "mp3", "flac", "ogg", "m4a", "aiff", "raw", "txt", "mp4", "wma", "")
TEXTS = (
    b"<!DOCTYPE html><html><body>Sign in</body></html>",
    b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    b'{"error": "quota exceeded"}',
    b"version https://git-lfs.github.com/spec/v1\n",
    b"#EXTM3U\nfile:///etc/passwd\n",
    b"",
)


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("originals")
    source = write_tone(folder / "a.wav", 0.5, rate=22_050)
    return {name: (source if name == "a.wav" else encode(source, folder / name)).read_bytes() for name in GOOD_NAMES}


def damage(data: st.DataObject, originals: dict[str, bytes]) -> bytes:
    """Damage a good file in one of the common ways."""
    content = bytearray(originals[data.draw(st.sampled_from(GOOD_NAMES))])
    place = data.draw(st.integers(0, len(content) - 1))
    match data.draw(
        st.sampled_from(["flip", "cut", "header", "zeros", "numbers", "floats", "text", "splice", "doubled"])
    ):
        case "flip":
            for _ in range(data.draw(st.integers(1, 12))):
                content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        case "cut":
            content = content[:place]
        case "header":  # the header of one format on the content of another
            other = originals[data.draw(st.sampled_from(GOOD_NAMES))]
            content[: data.draw(st.integers(1, 64))] = other[:64]
        case "zeros":
            content[place : place + data.draw(st.integers(1, 4000))] = bytes(data.draw(st.integers(0, 4000)))
        case "numbers":  # sizes and counts stand in the first bytes
            start = data.draw(st.integers(0, min(120, len(content) - 4)))
            content[start : start + 4] = data.draw(
                st.sampled_from([b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", bytes(4), b"\x80" + bytes(3)])
            )
        case "floats":
            samples = tone(0.5)
            samples[place % len(samples) :][: data.draw(st.integers(1, 99))] = data.draw(
                st.sampled_from([np.nan, np.inf, -np.inf, 3e38, -1e6])
            )
            content = bytearray(
                wav(bits=32, data=samples.tobytes()).replace(b"fmt \x10\x00\x00\x00\x01", b"fmt \x10\x00\x00\x00\x03")
            )
        case "text":
            content = bytearray(data.draw(st.sampled_from(TEXTS)))
        case "splice":
            other = originals[data.draw(st.sampled_from(GOOD_NAMES))]
            content = content[:place] + bytearray(other[place:])
        case "doubled":
            content = content + content
    return bytes(content)


@pytest.mark.slow
@settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_damaged_files_are_decoded_or_refused_in_little_memory_and_time(tmp_path, originals, data):
    paths = []
    for number in range(10):  # several to a process, which takes most of the time to start
        suffix = data.draw(st.sampled_from(SUFFIXES))
        paths.append(tmp_path / f"{number}.{suffix}")
        paths[-1].write_bytes(damage(data, originals))
    outcomes, peak = decode_in_process(paths)
    assert set(outcomes) <= {"decoded", *REASONS} - {"crashed", "timeout", "missing", "unreadable"}
    assert peak < MAX_MEMORY, f"{peak >> 10} MiB"


def test_samples_that_are_not_finite_are_refused(tmp_path):
    samples = tone(0.5)
    samples[100] = np.nan
    content = wav(bits=32, data=samples.tobytes()).replace(b"fmt \x10\x00\x00\x00\x01", b"fmt \x10\x00\x00\x00\x03")
    (tmp_path / "a.wav").write_bytes(content)
    (tmp_path / "page.wav").write_bytes(TEXTS[0])
    outcomes, _ = decode_in_process([tmp_path / "a.wav", tmp_path / "page.wav"])
    assert outcomes == ["non_finite", "not_audio"]
