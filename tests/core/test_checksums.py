"""Checksums of results: a damaged or replaced file is noticed, whatever its time stamp."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.records import seal
from workflow_scripts.core import checksums
from workflow_scripts.core.checksums import read_record, require_unchanged
from workflow_scripts.core.errors import UserError


@pytest.fixture
def result(tmp_path: Path) -> Path:
    """An encoder file with its record."""
    path = tmp_path / "run" / "encoder.safetensors"
    path.parent.mkdir()
    path.write_bytes(bytes(range(250)) * 40)
    seal(path)
    return path


def flip(path: Path) -> None:
    """Flip one byte in place, and set the time of the last change back."""
    status = path.stat()
    with path.open("rb+") as file:
        file.seek(5000)
        file.write(b"!")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_an_unchanged_result_gives_its_checksum(result):
    assert require_unchanged(result) == read_record(result.with_name("record.json"))["sha256"][result.name]


def test_a_flipped_byte_under_an_old_time_stamp_is_noticed(result):
    flip(result)
    with pytest.raises(UserError, match=rf"{result} is not the file that its job wrote.*: delete {result.parent} and"):
        require_unchanged(result)


def test_a_missing_result_and_a_folder_in_its_place_are_named(result):
    result.unlink()
    for make in (lambda: None, result.mkdir):
        make()
        with pytest.raises(UserError, match=rf"{result} is missing: delete {result.parent} and run again"):
            require_unchanged(result)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\0", "[" * 100_000])
def test_a_damaged_record_is_named(result, text):
    record = result.with_name("record.json")
    record.write_text(text)
    with pytest.raises(UserError, match=rf"{record} is damaged: delete {result.parent} and run again"):
        require_unchanged(result)


@pytest.mark.parametrize("text", ["{}", '{"code": "1"}', '{"sha256": {}}', '{"sha256": "1"}'])
def test_a_record_of_an_earlier_version_is_named(result, text):
    record = result.with_name("record.json")
    record.write_text(text)
    with pytest.raises(UserError, match=rf"{record} was written by an earlier version, without checksums: delete"):
        require_unchanged(result)


def test_a_record_covers_itself_whatever_the_order_of_its_keys(result):
    record = result.with_name("record.json")
    content = json.loads(record.read_text())
    record.write_text(json.dumps(dict(reversed(content.items()))))
    require_unchanged(result)
    record.write_text(json.dumps(content | {"code": "another"}))
    with pytest.raises(UserError, match=rf"{record} is not as its job wrote it"):
        read_record(record)


def test_a_large_file_is_read_once_until_it_or_its_status_changes(result, monkeypatch):
    reads: list[Path] = []
    real = checksums.digest_file
    monkeypatch.setattr(checksums, "SMALL", 100)
    monkeypatch.setattr(checksums, "digest_file", lambda path: (reads.append(path), real(path))[1])
    for _ in range(3):
        require_unchanged(result)
    assert len(reads) == 1
    os.utime(result)  # for example a copy
    require_unchanged(result)
    assert len(reads) == 2
    flip(result)
    with pytest.raises(UserError, match="is not the file that its job wrote"):
        require_unchanged(result)


def test_a_large_file_is_read_each_time_where_nobody_may_write(result, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checksums, "SMALL", 100)
    monkeypatch.setattr(checksums, "write_json", refuse)
    for _ in range(2):
        require_unchanged(result)
    assert list(result.parent.glob(".*")) == []
