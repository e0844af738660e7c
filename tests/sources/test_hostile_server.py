"""Servers that redirect, stall, never end or answer nonsense: the file is complete, or one line states why not."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
import random
import time

import pytest
import requests
import urllib3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sources.server import Site, serve_site
from workflow_scripts.core.errors import UserError
from workflow_scripts.sources import download as download_module
from workflow_scripts.sources.download import ATTEMPTS, download
from workflow_scripts.sources.remotes import Remote

CONTENT = random.Random(1).randbytes(300_000)
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def fetch(behaviour, folder, **changes):
    published = {"algorithm": "sha256", "checksum": CHECKSUM} | changes
    with serve_site(Site(CONTENT, behaviour)) as site:
        path = download(Remote(url=site.url, **published), folder, pause=lambda _: None)
    assert path.read_bytes() == CONTENT
    return site


def expect_error(behaviour, folder, match, **changes):
    published = {"algorithm": "sha256", "checksum": CHECKSUM} | changes
    with serve_site(Site(CONTENT, behaviour)) as site, pytest.raises(UserError, match=match) as caught:
        download(Remote(url=site.url, **published), folder, pause=lambda _: None)
    assert "\n" not in str(caught.value)
    assert not (folder / "music.bin").exists()
    return site


def redirect_to(location):
    def behaviour(number, handler):
        if handler.path.startswith("/set"):
            handler.answer(302, b"", {"Location": location})
            return True
        return False

    return behaviour


def test_a_redirect_is_followed_and_the_name_stays(tmp_path):
    fetch(redirect_to("/elsewhere/other.bin?signature=1"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["music.bin"]


def test_a_redirect_in_a_circle_is_reported(tmp_path):
    site = expect_error(redirect_to("/set/again"), tmp_path, "redirects in a circle")
    assert len(site.requests) <= 31 * ATTEMPTS


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://host/x", "http://[", "http://\xff\xfe/", "//", "\xe9"]
)
def test_a_redirect_to_no_web_address_is_reported(tmp_path, location):
    expect_error(redirect_to(location), tmp_path, r"correct the address|gave up|answered 404|its sha256")


def test_a_redirect_to_a_login_page_is_refused(tmp_path):
    def behaviour(number, handler):
        if handler.path.startswith("/set"):
            handler.answer(302, b"", {"Location": "/login"})
        else:
            handler.answer(200, b"\xef\xbb\xbf  <!doctype html><title>Sign in", {})
        return True

    expect_error(behaviour, tmp_path, "web page instead", algorithm=None, checksum=None)


def answer_by_address(monkeypatch, redirects):
    """Answer requests without a network: with the redirect of an address, or with the content; return what was sent."""
    sent = []

    def send(self, request, **_):
        sent.append(request)
        response = requests.Response()
        response.request, response.url = request, request.url
        response.status_code = 302 if request.url in redirects else 200
        response.headers["Location"] = redirects.get(request.url, "")
        response.raw = urllib3.HTTPResponse(io.BytesIO(CONTENT), preload_content=False)
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    return sent


@pytest.mark.parametrize("published", [{}, {"algorithm": "sha256", "checksum": CHECKSUM}])
@pytest.mark.parametrize("hops", [["http://b/x"], ["http://b/x", "https://c/x"], ["https://c/x", "http://b/x"]])
def test_a_download_that_begins_encrypted_stays_so_on_every_hop(tmp_path, monkeypatch, hops, published):
    sent = answer_by_address(monkeypatch, dict(zip(["https://a/music.bin", *hops], hops, strict=False)))
    with pytest.raises(UserError, match="redirects to http://b/x, which is not encrypted"):
        download(Remote(url="https://a/music.bin", **published), tmp_path, pause=lambda _: None)
    assert all(request.url.startswith("https:") for request in sent)


@pytest.mark.parametrize("start", ["https://a/music.bin", "http://a/music.bin"])
def test_no_credentials_are_sent(tmp_path, monkeypatch, start):
    (tmp_path / "netrc").write_text("machine a login me password secret\ndefault login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    sent = answer_by_address(monkeypatch, {start: "https://b/x"})
    download(Remote(url=start), tmp_path, pause=lambda _: None)
    assert [request.url for request in sent] == [start, "https://b/x"]
    assert not any("Authorization" in request.headers for request in sent)


REFUSALS = (
    b'{"status":403}',
    b'\xef\xbb\xbf\n [{"error": "quota"}]',
    b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    b"<!DOCTYPE html><title>Sign in</title>",
    b"<Error/>",
    b"Forbidden",
    b"clip_name\tpath\n",
)


@pytest.mark.parametrize("body", REFUSALS)
def test_a_message_with_a_status_of_success_is_no_table(tmp_path, body):
    """As when a service words its refusal with status 200; the next attempt asks again."""

    def refuse_once(number, handler):
        if number == 0:
            handler.answer(200, body, {})
        return number == 0

    content = b'\xef\xbb\xbf"clip_id"\t"rock"\n1\t0\n'
    with serve_site(Site(content, refuse_once)) as site:
        remote = Remote(url=site.url, name="annotations.csv", begins="clip_id")
        with pytest.raises(UserError, match=r"web page instead of the file|another file or a message"):
            download(remote, tmp_path, pause=lambda _: None)
        assert not list(tmp_path.iterdir())
        assert download(remote, tmp_path, pause=lambda _: None).read_bytes() == content
        (tmp_path / "annotations.csv").write_bytes(body)  # kept by an earlier version
        assert download(remote, tmp_path, pause=lambda _: None).read_bytes() == content


def test_a_very_slow_server_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(download_module, "SPEED_WINDOW_SECONDS", 0.2)

    def behaviour(number, handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.close_connection = True
        with contextlib.suppress(OSError):
            for position in range(600):
                handler.wfile.write(CONTENT[position : position + 1])
                time.sleep(0.05)
        return True

    started = time.monotonic()
    site = expect_error(behaviour, tmp_path, r"gave up after 6 attempts \(the server sent \d+ bytes in")
    assert len(site.requests) == ATTEMPTS
    assert time.monotonic() - started < 10


def test_a_server_that_sends_a_byte_per_attempt_is_given_up(tmp_path):
    def behaviour(number, handler):
        handler.serve(stop_after=1)
        return True

    assert len(expect_error(behaviour, tmp_path, "gave up").requests) == ATTEMPTS


@pytest.mark.parametrize("stated", [300_000, None])
def test_a_body_without_end_is_stopped(tmp_path, monkeypatch, stated):
    monkeypatch.setattr(download_module, "MAX_UNSTATED_BYTES", 1 << 20)

    def behaviour(number, handler):
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        with contextlib.suppress(OSError):
            for _ in range(10_000):
                handler.wfile.write(bytes(100_000))
        return True

    expect_error(behaviour, tmp_path, "sends more than the", bytes=stated)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1 << 20


HEADERS = st.sampled_from(
    [
        "Content-Length",
        "Content-Range",
        "Retry-After",
        "ETag",
        "Last-Modified",
        "Location",
        "Transfer-Encoding",
        "Content-Encoding",
        "Connection",
    ]
)
VALUES = st.one_of(
    st.sampled_from(
        [
            *[
                "-1",
                "0",
                "1e9",
                "299999",
                "300000",
                "300001",
                "²",
                "chunked",
                "gzip",
                "keep-alive",
                "close",
                "W/",
                "/set/music.bin",
                "?",
            ],
            "9" * 30,
            "9" * 5000,
            "5, 6",
            "bytes 0-299999/300000",
            "bytes 7-1/0",
            "bytes */*",
            "bytes 5-9/" + "9" * 5000,
            "Fri, 31 Dec 9999 23:59:59 -2359",
            "Mon, 01 Jan 0001 00:00:00 +2359",
        ]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    status=st.sampled_from([200, 200, 206, 301, 302, 304, 307, 416, 429, 503, 299, 204, 404, 999]),
    headers=st.dictionaries(HEADERS, VALUES, max_size=3),
    body=st.sampled_from([CONTENT, CONTENT[:1000], b"", b"<html>", b"5\r\nabcde\r\n0\r\n\r\n", b"zz\r\n"]),
    times=st.integers(1, 8),
)
def test_nonsense_in_the_answer_gives_the_file_or_one_line(tmp_path, status, headers, body, times):
    for entry in tmp_path.iterdir():
        entry.unlink()

    def behaviour(number, handler):
        if number >= times:
            return False
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.close_connection = True
        with contextlib.suppress(OSError):
            handler.wfile.write(body)
        return True

    with serve_site(Site(CONTENT, behaviour)) as site:
        remote = Remote(url=site.url, algorithm="sha256", checksum=CHECKSUM)
        message = ""
        try:
            download(remote, tmp_path, pause=lambda _: None)
        except UserError as error:
            message = str(error)
    assert "\n" not in message
    assert (tmp_path / "music.bin").exists() == (not message)
    assert message or (tmp_path / "music.bin").read_bytes() == CONTENT


def test_an_answer_that_is_not_http_is_given_up(tmp_path):
    def behaviour(number, handler):
        handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n" if number % 2 else b"HTTP/1.1 2OO fine\r\n\r\n")
        handler.close_connection = True
        return True

    expect_error(behaviour, tmp_path, "gave up after 6 attempts")


def test_endless_headers_are_given_up(tmp_path):
    def behaviour(number, handler):
        handler.send_response(200)
        for name in range(http.client._MAXHEADERS + 10):
            handler.send_header(f"X-{name}", "x")
        handler.end_headers()
        return True

    expect_error(behaviour, tmp_path, "gave up after 6 attempts")
