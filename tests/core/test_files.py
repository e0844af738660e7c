"""Atomic writing and the end of a command line."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from workflow_scripts.core import files
from workflow_scripts.core.errors import EXIT_TRY_AGAIN, EXIT_USER_ERROR, TemporaryError, UserError, run_command


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    files.write_text(path, "old")

    def fail_halfway() -> None:
        with files.write_atomically(path) as temporary:
            temporary.write_text("half", encoding="utf-8")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_scratch_folder_begins_without_what_a_killed_job_left_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "data" / ".scratch"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "left").touch()

    def fail_halfway() -> None:
        with files.make_scratch_folder(folder) as scratch:
            assert list(scratch.iterdir()) == []
            (scratch / "half").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert list(folder.parent.iterdir()) == []


def test_a_link_in_place_of_a_scratch_folder_is_neither_followed_nor_emptied(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "file").touch()
    (tmp_path / ".scratch").symlink_to(tmp_path / "theirs")
    with pytest.raises(FileExistsError), files.make_scratch_folder(tmp_path / ".scratch"):
        pass
    assert (tmp_path / "theirs" / "file").exists()


def test_json_keeps_order_and_letters(tmp_path: Path) -> None:
    files.write_json(tmp_path / "deep" / "record.json", {"b": "é", "a": 1})
    text = (tmp_path / "deep" / "record.json").read_text(encoding="utf-8")
    assert list(json.loads(text)) == ["b", "a"]
    assert "é" in text


def test_written_files_can_be_read_by_others(tmp_path: Path) -> None:
    files.write_text(tmp_path / "shared", "text")
    assert (tmp_path / "shared").stat().st_mode & 0o444 == 0o444


def test_too_little_space_is_one_line(tmp_path: Path) -> None:
    files.require_space(tmp_path, 1)
    with pytest.raises(UserError, match=r"needs .* GB and has .* GB free"):
        files.require_space(tmp_path, 10**18)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("two\nlines"), EXIT_USER_ERROR, "prelude: two lines\n"),
        (TemporaryError("wait"), EXIT_TRY_AGAIN, "prelude: wait\n"),
        (
            OSError(errno.ENOSPC, "full", "a.npy"),
            EXIT_USER_ERROR,
            "prelude: no space left while writing a.npy: free some space",
        ),
    ],
)
def test_a_users_error_ends_in_one_line(
    error: Exception, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as stop:
        run_command(main)
    printed = capsys.readouterr().err
    assert stop.value.code == code
    assert printed.startswith(line)
    assert printed.count("\n") == 1


def test_other_errors_keep_their_traceback() -> None:
    def main() -> None:
        raise OSError(errno.EIO, "disk on fire")

    with pytest.raises(OSError, match="disk on fire"):
        run_command(main)
