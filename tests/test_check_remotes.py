"""The addresses of data sets are asked for their headers, and what answers is shown with its size."""

from __future__ import annotations

import types

import pytest
import yaml

from tests.checkout import REPOSITORY
from tests.sources import server
from tests.sources.server import Site, serve_site
from workflow_scripts import check_remotes
from workflow_scripts.configuration.load import load
from workflow_scripts.core.errors import UserError

CONFIGS = REPOSITORY / "config"
CONTENT = b"x" * 1000


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def ask(monkeypatch, capsys, behaviour, *, size: int | None = len(CONTENT)) -> tuple[list[str], Site, str]:
    """Ask one address of a server; return the lines, the server and the error."""
    message = ""
    with serve_site(Site(CONTENT, behaviour)) as site:
        addresses = [check_remotes.Address(url=site.url, dataset="toy", bytes=size)]
        monkeypatch.setattr(check_remotes, "list_addresses", lambda _: addresses)
        try:
            check_remotes.main([])
        except UserError as error:
            message = str(error)
    return capsys.readouterr().out.splitlines(), site, message


def answer_headers(number, handler):
    handler.answer(200, CONTENT, {"Accept-Ranges": "bytes"})
    return True


def refuse_headers(number, handler):
    """As hosts do that sign the address of each request."""
    if handler.command == "HEAD":
        handler.answer(405, b"", {})
    else:
        handler.answer(206, b"x", {"Content-Range": f"bytes 0-0/{len(CONTENT)}"})
    return True


@pytest.mark.parametrize("behaviour", [answer_headers, refuse_headers])
def test_an_address_that_answers_is_shown_with_its_size(monkeypatch, capsys, behaviour):
    lines, site, message = ask(monkeypatch, capsys, behaviour)
    assert lines == [f"answers  {site.url} (toy): 1,000 bytes"]
    assert message == ""
    assert all(request["User-Agent"].startswith("prelude/") for request in site.requests)


@pytest.mark.parametrize(
    ("behaviour", "size", "words"),
    [
        (answer_headers, 999, "1,000 bytes, not the 999 known"),
        (server.show_login, None, "a web page, perhaps a login or a refusal"),
        (server.ask_to_wait("0", status=404), None, "answered 404"),
        (server.ask_to_wait("0", "0", status=403), None, "answered 403"),
    ],
)
def test_another_answer_than_expected_is_told(monkeypatch, capsys, behaviour, size, words):
    (line,), _, message = ask(monkeypatch, capsys, behaviour, size=size)
    assert words in line
    assert not line.startswith("answers")
    assert message.startswith("1 of 1 addresses do not answer as expected")


def test_every_address_of_the_config_is_asked_and_mirrors_too(tmp_path):
    mirror = "https://mirror.example/mtat/"
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({"sources": {"magnatagatune": {"urls": [mirror]}}}))
    config, _ = load([CONFIGS / "config.yaml", file], folder=CONFIGS)
    urls = [address.url for address in check_remotes.list_addresses(config)]
    assert len(urls) == len(set(urls))
    names = ["annotations_final.csv", *(f"mp3.zip.00{i}" for i in (1, 2, 3))]
    assert {f"https://mirg.city.ac.uk/datasets/magnatagatune/{name}" for name in names} < set(urls)
    assert {f"{mirror}{name}" for name in [*names, "mp3.zip"]} < set(urls)
    assert sum("zenodo.org" in url for url in urls) == 2
    assert sum("/fma/" in url for url in urls) == 3


def test_a_name_that_is_not_resolved_is_told(monkeypatch, capsys):
    addresses = [check_remotes.Address(url="http://127.0.0.1:9/a", dataset="toy", bytes=None)]
    monkeypatch.setattr(check_remotes, "list_addresses", lambda _: addresses)
    monkeypatch.setattr(check_remotes, "load", lambda *_, **__: (types.SimpleNamespace(), None))
    with pytest.raises(UserError, match="1 of 1"):
        check_remotes.main([])
    assert capsys.readouterr().out == "FAILS    http://127.0.0.1:9/a (toy): 127.0.0.1 refused the connection\n"
