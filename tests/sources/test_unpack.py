import io
import shutil
import stat
import tarfile
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workflow_scripts.core.errors import UserError
from workflow_scripts.sources import unpack as unpack_module
from workflow_scripts.sources.unpack import unpack

GOOD = {"set/a.txt": b"one", "set/audio/b.bin": bytes(range(256)) * 50, "set/audio/c d ü.bin": b""}


def zip_of(path, members, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def tar_of(path, members):
    """`members` are (name, bytes) or TarInfo."""
    mode = {"tar": "w", "tgz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}[path.suffix[1:]]
    with tarfile.open(path, mode) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return path


def made(path, members):
    return zip_of(path, members) if path.suffix == ".zip" else tar_of(path, members)


def files_under(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(archive, match):
    target = archive.parent / "target"
    with pytest.raises(UserError, match=match) as caught:
        unpack(archive, target)
    assert "\n" not in str(caught.value)
    assert not list(target.iterdir())
    everything = {p.name for p in archive.parent.iterdir()}
    assert everything == {archive.name, "target"}


KINDS = ["a.zip", "a.tar", "a.tgz", "a.bz2", "a.xz"]


@pytest.mark.parametrize("name", KINDS)
def test_good_archives(tmp_path, name):
    unpack(made(tmp_path / name, GOOD.items()), tmp_path / "target")
    assert files_under(tmp_path / "target") == GOOD
    assert [p.name for p in (tmp_path / "target").iterdir()] == ["set"]


def test_content_decides_not_the_name(tmp_path):
    zip_of(tmp_path / "really.zip", GOOD.items()).rename(tmp_path / "a.tgz")
    unpack(tmp_path / "a.tgz", tmp_path / "target")
    assert files_under(tmp_path / "target") == GOOD


def test_tar_that_ends_in_a_zip_is_a_tar(tmp_path):
    inner = zip_of(tmp_path / "inner.zip", [("x", b"y")]).read_bytes()
    unpack(tar_of(tmp_path / "a.tar", [("set/inner.zip", inner)]), tmp_path / "target")
    assert list(files_under(tmp_path / "target")) == ["set/inner.zip"]


def test_second_archive_and_second_time_merge_into_the_target(tmp_path):
    target = tmp_path / "target"
    first = zip_of(tmp_path / "a.zip", GOOD.items())
    unpack(first, target)
    unpack(zip_of(tmp_path / "b.zip", [("set/audio/new", b"new"), ("other", b"o")]), target)
    (target / "set/a.txt").write_bytes(b"changed")
    unpack(first, target)
    assert files_under(target) == {**GOOD, "set/audio/new": b"new", "other": b"o"}


@pytest.mark.parametrize("name", ["a.zip", "a.tgz"])
@pytest.mark.parametrize("member", ["../evil", "/evil", "a/../../evil", "a\\..\\..\\evil", "C:\\evil", ".."])
def test_names_outside_the_target(tmp_path, name, member):
    refused(made(tmp_path / name, [("good", b"g"), (member, b"evil")]), "would leave the target")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_links_and_devices_in_tars(tmp_path, kind):
    entry = tarfile.TarInfo("link")
    entry.type, entry.linkname = kind, "/etc/passwd"
    refused(tar_of(tmp_path / "a.tar", [("good", b"g"), entry, ("link/x", b"evil")]), "link or a device")


def test_links_in_zips(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    refused(zip_of(tmp_path / "a.zip", [(info, "/etc/passwd")]), "link or a device")


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_given_twice(tmp_path, name):
    refused(made(tmp_path / name, [("d/x", b"1"), ("d/./x", b"2")]), "twice")


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_file_that_is_also_a_folder(tmp_path, name):
    refused(made(tmp_path / name, [("x", b"1"), ("x/y", b"2")]), "a file and a folder at once")


@pytest.mark.parametrize("name", ["a.zip", "a.tgz", "a.xz"])
def test_bombs(tmp_path, name):
    refused(made(tmp_path / name, [("zeros", bytes(30_000_000))]), "far more than a data set")


def test_too_many_members(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack_module, "MAX_MEMBERS", 3)
    refused(tar_of(tmp_path / "a.tgz", [(str(number), b"") for number in range(4)]), "more than 3 files")


@pytest.mark.parametrize("name", ["a.zip", "a.tgz"])
def test_full_disk_is_noticed_first(tmp_path, monkeypatch, name):
    archive = made(tmp_path / name, GOOD.items())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    refused(archive, "free some space")


@pytest.mark.parametrize("name", KINDS)
def test_truncated_archives(tmp_path, name):
    archive = made(tmp_path / name, [("x", bytes(range(256)) * 400)])
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    refused(archive, "is damaged")


def test_no_archive_at_all(tmp_path):
    for content in (b"", b"<html>", b"PK\x03\x04 but no zip"):
        (tmp_path / "a.zip").write_bytes(content)
        refused(tmp_path / "a.zip", "is damaged")


def test_wrong_content_checksum(tmp_path):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("x", b"the very content")
    archive.write_bytes(archive.read_bytes().replace(b"very", b"VERY"))
    refused(archive, "is damaged")


def test_impossible_offset_in_a_zip(tmp_path):
    archive = zip_of(tmp_path / "a.zip", [("x", b"content")])
    data = bytearray(archive.read_bytes())
    end = data.index(b"PK\x05\x06")
    data[end + 16] += 90  # the directory is said to start later than it does, so members lie before the file
    archive.write_bytes(data)
    refused(archive, "is damaged")


def test_encrypted_and_odd_methods(tmp_path):
    archive = zip_of(tmp_path / "a.zip", [("x", b"content")])
    data = bytearray(archive.read_bytes())
    entry = data.index(b"PK\x01\x02")
    for place, value, match in ((entry + 8, 1, "encrypted"), (entry + 10, 9, "7-Zip")):
        changed = bytearray(data)
        changed[place] = value
        if place == entry + 10:
            changed[8] = value
        archive.write_bytes(changed)
        refused(archive, match)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_archives_stay_inside_and_end_in_a_clear_error(tmp_path, data):
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    archive = made(tmp_path / data.draw(st.sampled_from(["a.zip", "a.tar", "a.tgz"])), GOOD.items())
    content = bytearray(archive.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    archive.write_bytes(content)
    try:
        unpack(archive, tmp_path / "target")
    except UserError:
        assert not list((tmp_path / "target").iterdir())
    assert {p.name for p in tmp_path.iterdir()} <= {archive.name, "target"}
