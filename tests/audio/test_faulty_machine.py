"""Faults of the machine or of the ffmpeg program are not blamed on files: good clips would be lost."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import pytest
import soundfile

from tests.audio.recordings import write_tone
from workflow_scripts.audio import decoder_process, ffmpeg
from workflow_scripts.core.errors import UserError

MISSING_LIBRARY = "#!/bin/sh\necho 'error while loading shared libraries: libavdevice.so' >&2\nexit 127\n"
TOO_OLD = '#!/bin/sh\necho "Option format_whitelist not found" >&2\nexit 1\n'
OTHER_PROCESSOR = "\x7fELF of another processor"


@pytest.fixture(autouse=True)
def _search_anew() -> Iterator[None]:
    find_program = ffmpeg.find_program  # a test may put another in its place
    find_program.cache_clear()
    yield
    find_program.cache_clear()


@pytest.fixture(params=[MISSING_LIBRARY, TOO_OLD, OTHER_PROCESSOR])
def _broken_ffmpeg(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(request.param)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")


@pytest.mark.usefixtures("_broken_ffmpeg")
def test_an_ffmpeg_that_does_not_work_is_passed_over() -> None:
    assert ffmpeg.find_program() == imageio_ffmpeg.get_ffmpeg_exe()


@pytest.mark.usefixtures("_broken_ffmpeg")
def test_without_an_ffmpeg_that_works_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: "/nowhere/ffmpeg")
    with pytest.raises(UserError, match=r"no ffmpeg program that works \(.*bin/ffmpeg, /nowhere/ffmpeg cannot decode"):
        ffmpeg.find_program()


@pytest.mark.parametrize(
    ("end", "error"),
    [("kill -9 $$", ffmpeg.FfmpegKilledError), ("kill -XCPU $$", ffmpeg.FfmpegTimeoutError)],
)
def test_a_list_of_packets_that_is_cut_off_is_no_loss_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, error: type[Exception]
) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\necho '#tb 0: 1/16000'\necho '0, 0, 0, 160, 320, 0x0'\n{end}\n")
    program.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "find_program", lambda: str(program))
    with pytest.raises(error):
        ffmpeg.measure_seconds(tmp_path / "a.webm", stated_seconds=5.0, timeout_seconds=10.0)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"),
        OSError(errno.EMFILE, "Too many open files"),
        PermissionError(errno.EACCES, "Permission denied", "/usr/bin/ffmpeg"),
    ],
)
def test_an_error_of_the_machine_stops_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(decoder_process, "decode_clip", fail)
    answer, samples = decoder_process.answer_task({"path": str(tmp_path / "a.wav")})
    assert "a.wav cannot be decoded on this machine" in str(answer["stop"])
    assert samples is None


@pytest.mark.parametrize(
    "error", [TypeError("no such argument"), ModuleNotFoundError("No module named 'soxr'"), ValueError("a\nb")]
)
def test_an_error_of_the_program_stops_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(decoder_process, "decode_clip", fail)
    answer, samples = decoder_process.answer_task({"path": str(tmp_path / "a.wav")})
    stop = str(answer["stop"])
    assert "a.wav: Prelude fails at this file" in stop
    assert type(error).__name__ in stop
    assert "\n" not in stop
    assert samples is None


@pytest.mark.parametrize(
    "error", [struct.error("unpack requires 4 bytes"), EOFError(), soundfile.SoundFileError("bad")]
)
def test_an_error_of_the_content_costs_the_clip_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(decoder_process, "decode_clip", fail)
    assert decoder_process.answer_task({"path": str(tmp_path / "a.wav")})[0] == {"reason": "undecodable"}


def test_an_error_of_the_file_is_that_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_tone(tmp_path / "a.wav")

    def fail(path: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(decoder_process, "decode_clip", fail)
    assert decoder_process.answer_task({"path": str(file)})[0] == {"reason": "unreadable"}
