import hashlib
import random
import time
from email.utils import formatdate

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.links import put_in_place
from tests.sources.server import Site, serve_site
from workflow_scripts.core.errors import TemporaryError, UserError
from workflow_scripts.sources import download as download_module
from workflow_scripts.sources.download import download
from workflow_scripts.sources.remotes import Remote

CONTENT = random.Random(0).randbytes(3_000_000)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def make_remote(site, **changes):
    return Remote(
        **{"url": site.url, "algorithm": "sha256", "checksum": hashlib.sha256(CONTENT).hexdigest(), **changes}
    )


def fetch(behaviour, folder, *, pauses=None, content=CONTENT, **changes):
    """Download from a server with `behaviour` and return its site."""
    pauses = [] if pauses is None else pauses
    with serve_site(Site(content, behaviour)) as site:
        path = download(make_remote(site, **changes), folder, pause=pauses.append)
    assert path == folder / "music.bin"
    assert path.read_bytes() == content
    assert [entry.name for entry in folder.iterdir()] == ["music.bin"]
    return site


def expect_error(behaviour, folder, match, *, content=CONTENT, **changes):
    """Assert that the download fails with a message of one line and return the site."""
    with serve_site(Site(content, behaviour)) as site, pytest.raises(UserError, match=match) as caught:
        download(make_remote(site, **changes), folder, pause=lambda _: None)
    assert "\n" not in str(caught.value)
    assert not (folder / "music.bin").exists()
    return site


def serve_normally(number, handler):
    return False


def test_a_file_is_fetched_by_one_request(tmp_path):
    assert len(fetch(serve_normally, tmp_path).requests) == 1


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_every_checksum_algorithm_is_supported(tmp_path, algorithm):
    fetch(serve_normally, tmp_path, algorithm=algorithm, checksum=hashlib.new(algorithm, CONTENT).hexdigest().upper())


def test_a_file_without_published_checksum_is_accepted(tmp_path):
    fetch(serve_normally, tmp_path, algorithm=None, checksum=None)


def test_an_existing_file_is_kept(tmp_path):
    (tmp_path / "music.bin").write_bytes(CONTENT)
    assert fetch(serve_normally, tmp_path).requests == []


def test_an_existing_file_with_a_wrong_checksum_is_replaced(tmp_path):
    (tmp_path / "music.bin").write_bytes(CONTENT[:-1] + b"!")
    assert len(fetch(serve_normally, tmp_path).requests) == 1


def test_dropped_connections_are_resumed_where_they_stopped(tmp_path):
    def behaviour(number, handler):
        handler.serve(stop_after=700_000)
        return True

    pauses = []
    site = fetch(behaviour, tmp_path, pauses=pauses)
    starts = [int(request.get("Range", "bytes=0-")[6:-1]) for request in site.requests]
    assert starts == sorted(starts)
    assert len(starts) == 5  # 3,000,000 bytes in steps of little less than 700,000
    assert starts[-1] > 2_000_000
    assert len(set(pauses)) == 1  # each attempt got further, so the pause never grew


def test_the_next_run_resumes_the_part(tmp_path):
    def fail(number, handler):
        handler.serve(stop_after=1_000_000) if number == 0 else handler.answer(503, b"", {})
        return True

    with serve_site(Site(CONTENT, fail)) as site, pytest.raises(TemporaryError, match=r"gave up.*503.*run again"):
        download(make_remote(site), tmp_path, pause=lambda _: None)
    assert (tmp_path / "music.bin.part").stat().st_size > 900_000
    site = fetch(serve_normally, tmp_path)
    assert int(site.requests[0]["Range"][6:-1]) > 900_000


def test_a_server_that_ignores_ranges_is_read_from_the_start(tmp_path):
    (tmp_path / "music.bin.part").write_bytes(CONTENT[:1_000_000])

    def behaviour(number, handler):
        handler.serve(ranges=False)
        return True

    fetch(behaviour, tmp_path)


def test_a_wrong_range_is_not_appended(tmp_path):
    (tmp_path / "music.bin.part").write_bytes(CONTENT[:1_000_000])

    def behaviour(number, handler):
        if number == 0:
            last = len(CONTENT) - 1
            handler.answer(206, CONTENT[500_000:], {"Content-Range": f"bytes 500000-{last}/{last + 1}"})
        return number == 0

    assert "Range" not in fetch(behaviour, tmp_path).requests[1]


def test_a_part_without_content_range_is_not_appended(tmp_path):
    (tmp_path / "music.bin.part").write_bytes(CONTENT[:1_000_000])

    def behaviour(number, handler):
        if number == 0:
            handler.answer(206, CONTENT[1_000_001:], {})
        return number == 0

    fetch(behaviour, tmp_path)


def test_a_file_that_changed_between_attempts_is_fetched_again(tmp_path):
    def behaviour(number, handler):
        if number == 0:
            handler.answer(200, b"old" * 1_000_000, {"ETag": '"v0"'}, stop_after=1_000_000)
        return number == 0

    site = fetch(behaviour, tmp_path, algorithm=None, checksum=None)
    assert site.requests[1]["If-Range"] == '"v0"'


def test_a_damaged_part_is_fetched_again(tmp_path):
    (tmp_path / "music.bin.part").write_bytes(b"x" * 1_000_000)
    site = fetch(serve_normally, tmp_path)
    assert ["Range" in request for request in site.requests] == [True, False]


def test_a_complete_part_needs_no_more_bytes(tmp_path):
    (tmp_path / "music.bin.part").write_bytes(CONTENT)
    assert len(fetch(serve_normally, tmp_path).requests) == 1


def test_a_part_that_is_too_long_is_fetched_again(tmp_path):
    (tmp_path / "music.bin.part").write_bytes(CONTENT + b"more")
    fetch(serve_normally, tmp_path)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_temporary_failures_are_retried_after_growing_pauses(tmp_path, status):
    def behaviour(number, handler):
        if number < 3:
            handler.answer(status, b"later", {})
        return number < 3

    pauses = []
    fetch(behaviour, tmp_path, pauses=pauses)
    assert pauses == [2.0, 4.0, 8.0]


@pytest.mark.parametrize("dated", [False, True])
def test_retry_after_is_honoured(tmp_path, dated):
    def behaviour(number, handler):
        if number == 0:
            value = formatdate(time.time() + 30, usegmt=True) if dated else "30"
            handler.answer(429, b"", {"Retry-After": value})
        return number == 0

    pauses = []
    fetch(behaviour, tmp_path, pauses=pauses)
    assert pauses == [pytest.approx(30, abs=2)]


def test_a_very_long_retry_after_is_left_to_the_user(tmp_path):
    def behaviour(number, handler):
        handler.answer(503, b"", {"Retry-After": "7200"})
        return True

    expect_error(behaviour, tmp_path, "wait 120 minutes")


def test_a_stalled_connection_is_retried(tmp_path, monkeypatch):
    monkeypatch.setattr(download_module, "TIMEOUT_SECONDS", (0.3, 0.3))

    def behaviour(number, handler):
        if number == 0:
            time.sleep(0.8)
        return False

    assert len(fetch(behaviour, tmp_path).requests) == 2


def test_an_absent_server_is_reported_after_all_attempts(tmp_path):
    with serve_site(Site(CONTENT)) as site:
        remote = make_remote(site)
    with pytest.raises(UserError, match=r"gave up after 6 attempts.*`sources` of the config"):
        download(remote, tmp_path, pause=lambda _: None)


@pytest.mark.parametrize("status", [401, 404, 410, 451])
def test_permanent_failures_are_not_retried(tmp_path, status):
    def behaviour(number, handler):
        handler.answer(status, b"no", {})
        return True

    assert len(expect_error(behaviour, tmp_path, f"answered {status}").requests) == 1


def test_a_web_page_instead_of_the_file_is_refused(tmp_path):
    def behaviour(number, handler):
        handler.answer(200, b"\n<!DOCTYPE html><html>Log in</html>", {"Content-Type": "text/html"})
        return True

    assert len(expect_error(behaviour, tmp_path, "web page instead").requests) == 1


def test_a_web_page_does_not_delete_the_part(tmp_path):
    (tmp_path / "music.bin.part").write_bytes(CONTENT[:1_000_000])

    def behaviour(number, handler):
        handler.answer(200, b"<html>Log in</html>", {})
        return True

    expect_error(behaviour, tmp_path, "web page instead")
    assert (tmp_path / "music.bin.part").read_bytes() == CONTENT[:1_000_000]


def test_a_wrong_length_is_refused_before_the_body(tmp_path):
    site = expect_error(serve_normally, tmp_path, "has 3000000 bytes, expected 2999999", bytes=2_999_999)
    assert len(site.requests) == 1


def test_a_wrong_length_is_noticed_where_the_server_states_none(tmp_path):
    def behaviour(number, handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(CONTENT[:1000])
        handler.close_connection = True
        return True

    expect_error(behaviour, tmp_path, "ended at 1000 of 3000000 bytes", bytes=3_000_000)


def test_a_file_with_a_wrong_checksum_is_deleted(tmp_path):
    expect_error(serve_normally, tmp_path, "its sha256 is", checksum="0" * 64)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_noticed_before_the_first_byte(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 2_999_999}))
    expect_error(serve_normally, tmp_path, "free some space")
    assert not (tmp_path / "music.bin.part").exists() or not (tmp_path / "music.bin.part").stat().st_size


def test_a_wrong_address_is_reported(tmp_path):
    with pytest.raises(UserError, match="correct the address"):
        download(Remote(url="no-such-scheme//host/music.bin"), tmp_path, pause=lambda _: None)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=st.lists(st.sampled_from(["drop", "ignore", "503", "shift", "good", "other"]), max_size=4))
def test_the_file_is_complete_whatever_the_server_does(tmp_path, plan):
    for entry in tmp_path.iterdir():
        entry.unlink()

    def behaviour(number, handler):
        action = plan[number] if number < len(plan) else "good"
        if action == "drop":
            handler.serve(stop_after=400_000 + 100_000 * number)
        elif action == "ignore":
            handler.serve(ranges=False, stop_after=900_000)
        elif action == "503":
            handler.answer(503, b"<html>busy</html>", {})
        elif action == "shift":
            handler.answer(206, CONTENT[7:], {"Content-Range": f"bytes 7-{len(CONTENT) - 1}/{len(CONTENT)}"})
        elif action == "other":
            handler.serve(tag='"v2"', stop_after=200_000)
        return action != "good"

    fetch(behaviour, tmp_path)


def test_parts_are_fetched_joined_and_removed(tmp_path):
    with serve_site(Site(CONTENT)) as site:
        parts = tuple(Remote(url=site.url, name=f"a.zip.00{i}", bytes=len(CONTENT)) for i in (1, 2))
        whole = Remote(url="http://127.0.0.1:9/a.zip", parts=parts, bytes=2 * len(CONTENT))
        assert download(whole, tmp_path).read_bytes() == 2 * CONTENT
        requests = len(site.requests)
        assert download(whole, tmp_path) == tmp_path / "a.zip"
    assert requests == len(site.requests) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_parts_that_do_not_make_the_whole_are_reported_and_kept(tmp_path):
    with serve_site(Site(CONTENT)) as site:
        parts = tuple(Remote(url=site.url, name=f"a.zip.00{i}") for i in (1, 2))
        whole = Remote(url="http://127.0.0.1:9/a.zip", parts=parts, bytes=2 * len(CONTENT) + 1)
        with pytest.raises(UserError, match=r"a\.zip, joined from 2 parts: .* bytes received"):
            download(whole, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip.001", "a.zip.002"]


@pytest.mark.parametrize("kind", ["symbolic link", "dangling link", "hard link", "folder", "pipe"])
@pytest.mark.parametrize("name", ["music.bin.part", "music.bin.part.version"])
def test_nothing_is_written_or_read_through_a_link(tmp_path, name, kind):
    victim, folder = tmp_path / "private", tmp_path / "data"
    folder.mkdir()
    if kind != "dangling link":
        victim.write_bytes(b"private")
    if name.endswith(".version"):
        (folder / "music.bin.part").write_bytes(CONTENT[:1000])
    put_in_place(kind, folder / name, victim)
    with serve_site(Site(CONTENT)) as site, pytest.raises(UserError, match="is a link, a folder or no plain file"):
        download(make_remote(site), folder, pause=lambda _: None)
    assert site.requests == []
    assert (victim.read_bytes() if kind != "dangling link" else victim.exists()) in (b"private", False)
