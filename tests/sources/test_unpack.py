import gzip
import io
import shutil
import stat
import tarfile
import tracemalloc
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workflow_scripts.core.errors import UserError
from workflow_scripts.sources import unpack as unpack_module
from workflow_scripts.sources.unpack import unpack

GOOD = {"set/a.txt": b"one", "set/audio/b.bin": bytes(range(256)) * 50, "set/audio/c d ü.bin": b""}


def write_zip(path, members, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def write_tar(path, members):
    """Write a tar of `members`, each (name, bytes) or TarInfo."""
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


def write_archive(path, members):
    return write_zip(path, members) if path.suffix == ".zip" else write_tar(path, members)


def read_files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def expect_error(archive, match):
    """Assert that the archive is refused with a message of one line and leaves nothing."""
    target = archive.parent / "target"
    with pytest.raises(UserError, match=match) as caught:
        unpack(archive, target)
    assert "\n" not in str(caught.value)
    assert not list(target.iterdir())
    names = {p.name for p in archive.parent.iterdir()}
    assert names == {archive.name, "target"}


def test_what_a_killed_job_left_beside_the_target_is_removed(tmp_path):
    archive = write_archive(tmp_path / "a.zip", GOOD.items())
    (tmp_path / ".target.unpacked" / "set").mkdir(parents=True)
    (tmp_path / ".target.unpacked" / "set" / "other.txt").write_text("of another archive")
    unpack(archive, tmp_path / "target")
    assert read_files(tmp_path / "target") == GOOD
    assert {path.name for path in tmp_path.iterdir()} == {"a.zip", "target"}


KINDS = ["a.zip", "a.tar", "a.tgz", "a.bz2", "a.xz"]


@pytest.mark.parametrize("name", KINDS)
def test_good_archives_are_unpacked(tmp_path, name):
    unpack(write_archive(tmp_path / name, GOOD.items()), tmp_path / "target")
    assert read_files(tmp_path / "target") == GOOD
    assert [p.name for p in (tmp_path / "target").iterdir()] == ["set"]


def test_the_content_decides_the_format_not_the_name(tmp_path):
    write_zip(tmp_path / "really.zip", GOOD.items()).rename(tmp_path / "a.tgz")
    unpack(tmp_path / "a.tgz", tmp_path / "target")
    assert read_files(tmp_path / "target") == GOOD


def test_a_tar_that_ends_in_a_zip_is_a_tar(tmp_path):
    inner = write_zip(tmp_path / "inner.zip", [("x", b"y")]).read_bytes()
    unpack(write_tar(tmp_path / "a.tar", [("set/inner.zip", inner)]), tmp_path / "target")
    assert list(read_files(tmp_path / "target")) == ["set/inner.zip"]


def test_further_archives_are_merged_into_the_target(tmp_path):
    target = tmp_path / "target"
    first = write_zip(tmp_path / "a.zip", GOOD.items())
    unpack(first, target)
    unpack(write_zip(tmp_path / "b.zip", [("set/audio/new", b"new"), ("other", b"o")]), target)
    (target / "set/a.txt").write_bytes(b"changed")
    unpack(first, target)
    assert read_files(target) == {**GOOD, "set/audio/new": b"new", "other": b"o"}


@pytest.mark.parametrize("name", ["a.zip", "a.tgz"])
@pytest.mark.parametrize("member", ["../evil", "/evil", "a/../../evil", "a\\..\\..\\evil", "C:\\evil", ".."])
def test_names_outside_the_target_are_refused(tmp_path, name, member):
    expect_error(write_archive(tmp_path / name, [("good", b"g"), (member, b"evil")]), "would leave the target")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_links_and_devices_in_tars_are_refused(tmp_path, kind):
    entry = tarfile.TarInfo("link")
    entry.type, entry.linkname = kind, "/etc/passwd"
    expect_error(write_tar(tmp_path / "a.tar", [("good", b"g"), entry, ("link/x", b"evil")]), "link or a device")


def test_links_in_zips_are_refused(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    expect_error(write_zip(tmp_path / "a.zip", [(info, "/etc/passwd")]), "link or a device")


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_names_are_refused(tmp_path, name):
    expect_error(write_archive(tmp_path / name, [("d/x", b"1"), ("d/./x", b"2")]), "twice")


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_a_file_that_is_also_a_folder_is_refused(tmp_path, name):
    expect_error(write_archive(tmp_path / name, [("x", b"1"), ("x/y", b"2")]), "a file and a folder at once")


@pytest.mark.parametrize("name", ["a.zip", "a.tgz", "a.xz"])
def test_decompression_bombs_are_refused(tmp_path, name):
    expect_error(write_archive(tmp_path / name, [("zeros", bytes(30_000_000))]), "far more than a data set")


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack_module, "MAX_MEMBERS", 3)
    expect_error(write_tar(tmp_path / "a.tgz", [(str(number), b"") for number in range(4)]), "more than 3 files")


@pytest.mark.parametrize("name", ["a.zip", "a.tgz"])
def test_a_full_disk_is_noticed_before_unpacking(tmp_path, monkeypatch, name):
    archive = write_archive(tmp_path / name, GOOD.items())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    expect_error(archive, "free some space")


@pytest.mark.parametrize("name", KINDS)
def test_truncated_archives_are_reported(tmp_path, name):
    archive = write_archive(tmp_path / name, [("x", bytes(range(256)) * 400)])
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    expect_error(archive, "is damaged")


def test_files_that_are_no_archives_are_reported(tmp_path):
    for content in (b"", b"<html>", b"PK\x03\x04 but no zip"):
        (tmp_path / "a.zip").write_bytes(content)
        expect_error(tmp_path / "a.zip", "is damaged")


def test_a_wrong_checksum_in_a_zip_is_reported(tmp_path):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("x", b"the very content")
    archive.write_bytes(archive.read_bytes().replace(b"very", b"VERY"))
    expect_error(archive, "is damaged")


def test_an_impossible_offset_in_a_zip_is_reported(tmp_path):
    archive = write_zip(tmp_path / "a.zip", [("x", b"content")])
    data = bytearray(archive.read_bytes())
    end = data.index(b"PK\x05\x06")
    data[end + 16] += 90  # the stated start of the directory is too late, so members seem to precede the file
    archive.write_bytes(data)
    expect_error(archive, "is damaged")


def test_encryption_and_unknown_compression_are_reported(tmp_path):
    archive = write_zip(tmp_path / "a.zip", [("x", b"content")])
    data = bytearray(archive.read_bytes())
    entry = data.index(b"PK\x01\x02")
    for position, value, match in ((entry + 8, 1, "encrypted"), (entry + 10, 9, "7-Zip")):
        changed = bytearray(data)
        changed[position] = value
        if position == entry + 10:
            changed[8] = value
        archive.write_bytes(changed)
        expect_error(archive, match)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_archives_write_only_to_the_target_or_raise_an_error(tmp_path, data):
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    archive = write_archive(tmp_path / data.draw(st.sampled_from(["a.zip", "a.tar", "a.tgz"])), GOOD.items())
    content = bytearray(archive.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    archive.write_bytes(content)
    try:
        unpack(archive, tmp_path / "target")
    except UserError:
        assert not list((tmp_path / "target").iterdir())
    assert {p.name for p in tmp_path.iterdir()} <= {archive.name, "target"}


LONG_HEADERS = [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE]


@pytest.mark.parametrize("kind", LONG_HEADERS)
@pytest.mark.parametrize("name", ["a.tar", "a.tgz"])
def test_names_and_headers_of_megabytes_are_refused_before_they_are_read(tmp_path, kind, name):
    entry = tarfile.TarInfo("long")
    entry.type, entry.size = kind, 9_000_000  # below what a small archive may always unpack to
    header = entry.tobuf(tarfile.GNU_FORMAT)
    archive = tmp_path / name
    (gzip.open if name == "a.tgz" else open)(archive, "wb").write(header + bytes(9_000_000))
    tracemalloc.start()
    expect_error(archive, "takes megabytes")
    assert tracemalloc.get_traced_memory()[1] < 6_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("kind", LONG_HEADERS)
@pytest.mark.parametrize("size", [1 << 33, 1 << 60])
def test_headers_that_claim_more_than_there_is_are_damage(tmp_path, kind, size):
    entry = tarfile.TarInfo("long")
    entry.type, entry.size = kind, size
    (tmp_path / "a.tar").write_bytes(entry.tobuf(tarfile.GNU_FORMAT) + bytes(100_000))
    expect_error(tmp_path / "a.tar", r"is damaged|takes megabytes")


def test_a_sparse_file_is_refused(tmp_path):
    """A kilobyte of archive may stand for gigabytes of zeros."""
    entry = tarfile.TarInfo("zeros")
    entry.type = tarfile.GNUTYPE_SPARSE
    (tmp_path / "a.tar").write_bytes(entry.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))
    expect_error(tmp_path / "a.tar", "it holds a sparse file")


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_an_empty_name_is_refused(tmp_path, name):
    archive = tmp_path / name
    if name == "a.zip":
        info = zipfile.ZipInfo("x")
        info.filename = info.orig_filename = ""
        write_zip(archive, [(info, b"")])
    else:
        write_tar(archive, [tarfile.TarInfo("")])
    expect_error(archive, "would leave the target folder")


def _folder(name):
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.DIRTYPE
    return entry


@pytest.mark.parametrize("name", ["a.zip", "a.tgz"])
@pytest.mark.parametrize("member", ["{}/", "{}/deep/file"])
def test_too_many_folders_are_refused(tmp_path, monkeypatch, name, member):
    monkeypatch.setattr(unpack_module, "MAX_FOLDERS", 30)
    members = [(member.format(number), b"") for number in range(31)]
    if name == "a.tgz" and member == "{}/":
        members = [_folder(content[0]) for content in members]
    expect_error(write_archive(tmp_path / name, members), "more than 30 folders")


def test_too_many_files_for_the_size_of_the_archive_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack_module, "ALWAYS_ALLOWED_MEMBERS", 20)
    expect_error(write_tar(tmp_path / "a.tgz", [(str(number), b"") for number in range(300)]), "too many for its size")


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_more_files_than_a_data_set_of_so_many_clips_has_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(unpack_module, "ALWAYS_ALLOWED_MEMBERS", 20)
    archive = write_archive(tmp_path / name, [(f"{number}", b"") for number in range(41)])
    with pytest.raises(UserError, match="more than 40 files, too many for its size or for the data set"):
        unpack(archive, tmp_path / "target", clips=10)
    assert read_files(tmp_path / "target") == {}
    unpack(
        write_archive(tmp_path / f"fits_{name}", [(f"{number}", b"") for number in range(40)]),
        tmp_path / "fits",
        clips=10,
    )
    assert len(read_files(tmp_path / "fits")) == 40


def test_names_too_long_or_too_deep_are_refused(tmp_path):
    for name in ("d/" * 70 + "x", "x" * 5000):
        expect_error(write_tar(tmp_path / "a.tar", [(name, b"")]), "too long or lies too many folders deep")


@pytest.mark.parametrize("link", ["set", "set/audio", "set/a.txt"])
def test_nothing_is_written_through_a_link_in_the_target(tmp_path, link):
    target, elsewhere = tmp_path / "target", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.txt").write_bytes(b"private")
    (target / link).parent.mkdir(parents=True)
    (target / link).symlink_to(elsewhere / "a.txt" if link == "set/a.txt" else elsewhere)
    with pytest.raises(UserError, match=r"is a link.*delete the link"):
        unpack(write_zip(tmp_path / "a.zip", GOOD.items()), target)
    assert read_files(elsewhere) == {"a.txt": b"private"}
    assert [entry.name for entry in target.iterdir()] == ["set"]


def test_a_file_in_the_place_of_a_folder_is_replaced(tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "set").write_bytes(b"of an older version")
    unpack(write_zip(tmp_path / "a.zip", GOOD.items()), tmp_path / "target")
    assert read_files(tmp_path / "target") == GOOD


def test_memory_that_a_compressor_asks_for_in_vain_is_one_line(tmp_path, monkeypatch):
    """As for the dictionary of four gigabytes that an xz may state, on a machine that has less."""

    def refuse(path):
        raise MemoryError("cannot allocate")

    monkeypatch.setitem(unpack_module.COMPRESSED, b"\xfd7zXZ", refuse)
    expect_error(write_tar(tmp_path / "a.xz", GOOD.items()), "cannot be unpacked")
