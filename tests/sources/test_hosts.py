"""Hosts that behave as public reports say the real ones do: the file arrives, or one line says why, and what to do."""

from __future__ import annotations

import email
import hashlib
import random
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import urllib3

from tests.sources import server
from tests.sources.server import Site, serve_site
from workflow_scripts.core.errors import TemporaryError, UserError
from workflow_scripts.levels import dataset_facts, registry
from workflow_scripts.sources import download as download_module
from workflow_scripts.sources.connection import BUNDLES, PROJECT, PublicSession, user_agent
from workflow_scripts.sources.download import ATTEMPTS, download
from workflow_scripts.sources.remote_headers import ask_headers
from workflow_scripts.sources.remotes import Remote

CONTENT = random.Random(2).randbytes(300_000)
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
UNUSED_PORT = 9  # discard: nothing listens there


@dataclass
class Answer:
    """Outcome of a download."""

    message: str = ""
    is_temporary: bool = False
    pauses: list[float] = field(default_factory=list)
    requests: int = 0


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch):
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in BUNDLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> Path:
    """Make a certificate for 127.0.0.1 that nobody trusts, with its key."""
    return make_certificate(tmp_path_factory.mktemp("certificate") / "own.pem", "IP:127.0.0.1")


def make_certificate(path: Path, host: str) -> Path:
    """Make a certificate for a host, with its key in the same file. Skips the test without openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    subject = ["-subj", "/CN=localhost", "-addext", f"subjectAltName={host}", "-days", "2"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path.with_suffix(".key")]
    subprocess.run(["openssl", "req", "-x509", *key, *subject, "-out", path], check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_suffix(".key").read_text())
    return path


def try_download(folder: Path, url: str, **changes) -> Answer:
    """Download a file of the expected content, or return the one line on why not."""
    answer = Answer()
    published = {"algorithm": "sha256", "checksum": CHECKSUM, "name": "music.bin"} | changes
    try:
        path = download(Remote(url=url, **published), folder, pause=answer.pauses.append)
    except UserError as error:
        answer.message, answer.is_temporary = str(error), isinstance(error, TemporaryError)
        assert "\n" not in answer.message
        assert not (folder / "music.bin").exists()
    else:
        assert path.read_bytes() == CONTENT
        assert [entry.name for entry in folder.iterdir()] == ["music.bin"]
    return answer


def ask(folder: Path, behaviour, *, certificate: Path | None = None, **changes) -> Answer:
    with serve_site(Site(CONTENT, behaviour), certificate=certificate) as site:
        answer = try_download(folder, site.url, **changes)
    answer.requests = len(site.requests)
    return answer


def test_requests_say_who_asks_so_zenodo_answers(tmp_path):
    with serve_site(Site(CONTENT, server.refuse_default_names)) as site:
        for name in ("python-requests/2.34.2", "Mozilla/5.0", "python-urllib3/2.8.0", ""):
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(urllib.request.Request(site.url, headers={"User-Agent": name}))
        assert try_download(tmp_path, site.url) == Answer()
    assert site.requests[-1]["User-Agent"] == user_agent()


def test_requests_name_the_address_of_the_project_once_it_has_one(monkeypatch):
    installed = email.message_from_string("Version: 1.2\nProject-URL: Homepage, https://host.example/prelude\n")
    monkeypatch.setattr("importlib.metadata.metadata", lambda name: installed)
    assert user_agent() == "prelude/1.2 (https://host.example/prelude)"
    del installed["Project-URL"]
    assert user_agent() == f"prelude/1.2 ({PROJECT})"

    def fail(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.metadata", fail)
    assert user_agent() == f"prelude/0 ({PROJECT})"


def test_zenodo_is_asked_for_its_files_at_their_canonical_addresses():
    addresses = [
        remote.url
        for name in registry.names("dataset")
        for level in [registry.load("dataset", name)]
        for remote in dataset_facts.remotes(level, registry.options(level, {})).values()
    ]
    zenodo = [address for address in addresses if "zenodo" in address]
    assert len(zenodo) == 2
    assert all(address.startswith("https://zenodo.org/records/") for address in zenodo)


@pytest.mark.parametrize("status", [403, 429])
def test_a_refusal_that_passes_is_waited_for_politely(tmp_path, status):
    answer = ask(tmp_path, server.ask_to_wait("1", "1", "20", status=status))
    assert (answer.message, answer.pauses) == ("", [2, 4, 20])  # never less than asked for, and growing


@pytest.mark.parametrize(
    ("status", "advice"), [(403, "refuses this network or program"), (429, "asks for fewer requests")]
)
def test_a_refusal_that_stays_ends_in_one_line_that_says_what_to_do(tmp_path, status, advice):
    answer = ask(tmp_path, server.ask_to_wait(*["0"] * 20, status=status))
    assert answer.is_temporary
    assert answer.requests == ATTEMPTS
    assert f"answered {status}" in answer.message
    assert advice in answer.message
    assert "run again" in answer.message
    assert "`sources` of the config" in answer.message


def test_a_long_wait_is_left_to_the_user_and_to_the_cluster(tmp_path):
    answer = ask(tmp_path, server.ask_to_wait("7200"))
    assert (answer.is_temporary, answer.pauses, answer.requests) == (True, [], 1)
    assert "asks to wait 120 minutes: run again then" in answer.message


def test_a_server_without_ranges_is_read_from_the_start_again(tmp_path):
    answer = ask(tmp_path, server.ignore_ranges)
    assert (answer.message, answer.requests) == ("", 2)


def test_a_file_without_stated_length_arrives(tmp_path, monkeypatch):
    """As FMA medium behind a proxy: longer than what is accepted without a length, which the level states."""
    monkeypatch.setattr(download_module, "MAX_UNSTATED_BYTES", 1000)
    assert "sends more than the 1000 bytes" in ask(tmp_path, server.drop_length).message
    for facts in ({}, {"one_witness": ("bytes",)}):
        folder = tmp_path / str(len(facts))
        folder.mkdir()
        assert ask(folder, server.drop_length, bytes=len(CONTENT), **facts) == Answer(requests=1)


@pytest.mark.parametrize("before", [b"", b"<!-- gateway -->\n", b'<?xml version="1.0"?>\n'])
@pytest.mark.parametrize("facts", [{}, {"bytes": len(CONTENT)}])
def test_a_login_page_is_no_file_and_no_changed_file(tmp_path, facts, before):
    answer = ask(tmp_path, lambda _, handler: server.show_login(_, handler, before=before), **facts)
    assert "sent a web page instead of the file, perhaps a login" in answer.message
    assert not answer.is_temporary


def test_only_a_part_that_is_there_is_said_to_be_kept(tmp_path):
    refused = ask(tmp_path, server.ask_to_wait(*["0"] * 20, status=503))
    assert "503 Service Unavailable): run again later, or fetch it by hand" in refused.message

    def cut(number, handler):
        handler.serve(stop_after=100)
        return True

    assert "); the part received is kept: run again to resume" in ask(tmp_path, cut).message
    assert (tmp_path / "music.bin.part").is_file()


def test_a_certificate_that_is_not_trusted_is_named_at_once_and_can_be_stated(tmp_path, certificate, monkeypatch):
    answer = ask(tmp_path, server.show_login, certificate=certificate)
    assert (answer.is_temporary, answer.pauses) == (False, [])
    assert "the certificate of 127.0.0.1 is not trusted (self-signed certificate)" in answer.message
    assert "REQUESTS_CA_BUNDLE" in answer.message
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert ask(tmp_path, lambda *_: False, certificate=certificate).message == ""


def test_a_trusted_certificate_of_another_host_is_named_at_once(tmp_path, monkeypatch):
    other = make_certificate(tmp_path / "other.pem", "DNS:other.example")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    (tmp_path / "data").mkdir()
    answer = ask(tmp_path / "data", lambda *_: False, certificate=other)
    assert (answer.is_temporary, answer.pauses) == (False, [])
    assert "not valid for '127.0.0.1'" in answer.message


@pytest.mark.parametrize("variable", BUNDLES)
@pytest.mark.parametrize(
    ("content", "fault"),
    [(None, "which is not there"), ("", "which holds no certificates"), ("<html>", "which holds no certificates")],
)
def test_a_bundle_without_certificates_is_named_at_once(tmp_path, monkeypatch, variable, content, fault):
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    monkeypatch.setenv(variable, str(bundle))
    answer = try_download(tmp_path, "https://host.example/music.bin")
    assert answer.message.startswith(f"{variable} names {bundle}, {fault}")
    assert (answer.is_temporary, answer.pauses) == (False, [])


@pytest.mark.parametrize("variable", BUNDLES)
def test_each_of_the_usual_variables_names_certificates(tmp_path, certificate, monkeypatch, variable):
    monkeypatch.setenv(variable, str(certificate))
    assert ask(tmp_path, lambda *_: False, certificate=certificate).message == ""


def test_of_two_variables_that_name_certificates_the_first_counts(tmp_path, certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("CURL_CA_BUNDLE", "/no/such/bundle.pem")
    assert ask(tmp_path, lambda *_: False, certificate=certificate).message == ""


def test_a_redirect_from_an_encrypted_address_to_one_that_is_not_is_refused(tmp_path, certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with serve_site(Site(CONTENT)) as plain:

        def redirect(number, handler):
            handler.answer(302, b"", {"Location": plain.url})
            return True

        answer = ask(tmp_path, redirect, certificate=certificate)
        with serve_site(Site(CONTENT, redirect), certificate=certificate) as site, PublicSession() as session:
            fault = ask_headers(site.url, session).fault
    assert "which is not encrypted" in answer.message
    assert "which is not encrypted" in fault
    assert plain.requests == []


def test_a_name_that_is_not_resolved_reads_as_no_internet(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    answer = try_download(tmp_path, "https://zenodo.org/records/1/files/music.bin")
    assert answer.is_temporary
    assert "the name of zenodo.org was not resolved: is there no internet here?" in answer.message
    assert "run the target `acquire_all` where there is internet, such as the login node" in answer.message
    assert "--profile config/profiles/local" in answer.message  # with that of SLURM it would be a job again


def test_a_refused_connection_is_named(tmp_path):
    answer = try_download(tmp_path, f"http://127.0.0.1:{UNUSED_PORT}/music.bin")
    assert answer.is_temporary
    assert "127.0.0.1 refused the connection" in answer.message


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (lambda pool: urllib3.exceptions.ConnectTimeoutError(pool, "timed out"), "did not answer within 20 s"),
        (lambda pool: urllib3.exceptions.ReadTimeoutError(pool, "", "timed out"), "sent nothing for 60 s"),
        (lambda pool: OSError(101, "Network is unreachable"), "cannot be reached: is there no internet here?"),
    ],
)
def test_silence_and_a_missing_network_are_named(tmp_path, monkeypatch, error, words):
    def fail(pool, *_, **__):
        raise error(pool)

    monkeypatch.setattr(urllib3.connectionpool.HTTPConnectionPool, "_make_request", fail)
    answer = try_download(tmp_path, "http://host.example/music.bin")
    assert answer.is_temporary
    assert f"host.example {words}" in answer.message


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_a_login_is_named_at_once(tmp_path, monkeypatch, scheme):
    with serve_site(Site(CONTENT, server.refuse_proxy_users)) as proxy:
        monkeypatch.setenv(f"{scheme}_proxy", proxy.url.removesuffix("/set/music.bin"))
        answer = try_download(tmp_path, f"{scheme}://host.example/music.bin")
    assert (answer.is_temporary, len(proxy.requests)) == (False, 1)
    assert "the proxy" in answer.message
    assert "407" in answer.message
    assert "http://USER:PASSWORD@HOST:PORT" in answer.message


def test_a_proxy_that_is_not_there_is_told_from_the_host(tmp_path, monkeypatch):
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{UNUSED_PORT}")
    answer = try_download(tmp_path, "https://host.example/music.bin")
    assert "the proxy of https_proxy or http_proxy refused the connection): correct the variable" in answer.message


@pytest.mark.parametrize(
    ("proxy", "words"), [("http://", "has no valid address"), ("socks5://127.0.0.1:1", "needs the package pysocks")]
)
def test_a_proxy_that_cannot_be_used_is_named(tmp_path, monkeypatch, proxy, words):
    monkeypatch.setenv("https_proxy", proxy)
    assert words in try_download(tmp_path, "https://host.example/music.bin").message


def test_a_proxy_of_the_environment_is_used(tmp_path, monkeypatch):
    with serve_site(Site(CONTENT)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/set/music.bin"))
        assert try_download(tmp_path, "http://host.example/music.bin").message == ""
    assert len(proxy.requests) == 1


OTHER = {"checksum": "0" * 64, "bytes": len(CONTENT) + 1}


@pytest.mark.parametrize("fact", OTHER)
def test_what_one_source_states_warns_with_both_values_and_what_two_state_refuses(tmp_path, capsys, fact):
    for witnesses in (("checksum", "bytes"), ()):
        folder = tmp_path / str(len(witnesses))
        folder.mkdir()
        answer = ask(folder, lambda *_: False, **{fact: OTHER[fact]}, one_witness=witnesses)
        shown = answer.message or capsys.readouterr().err
        assert bool(answer.message) == (not witnesses)
        assert str(OTHER[fact]) in shown
        assert (CHECKSUM if fact == "checksum" else str(len(CONTENT))) in shown
    assert "note: " not in capsys.readouterr().err


def test_a_message_is_no_file_although_the_checksum_is_doubtful(tmp_path):
    def refuse(number, handler):
        handler.answer(200, b'{"status":403}', {})
        return True

    assert "web page instead" in ask(tmp_path, refuse, one_witness=("checksum",)).message


def test_a_resumed_file_that_one_source_doubts_is_fetched_anew(tmp_path):
    (tmp_path / "music.bin.part").write_bytes(b"x" * 1000)
    answer = ask(tmp_path, lambda *_: False, one_witness=("checksum",))
    assert (answer.message, answer.requests) == ("", 2)


def test_a_file_that_is_there_with_another_checksum_is_named_before_it_is_fetched(tmp_path, capsys):
    (tmp_path / "music.bin").write_bytes(b"other")
    assert ask(tmp_path, lambda *_: False).message == ""
    line = capsys.readouterr().err
    assert "music.bin: its sha256 is" in line
    assert CHECKSUM in line
    assert "it is fetched again" in line


def test_mirrors_are_asked_first_and_the_owner_last(tmp_path, capsys):
    def gone(number, handler):
        handler.answer(404, b"", {})
        return True

    with serve_site(Site(b"another file", gone)) as lost, serve_site(Site(CONTENT)) as mirror:
        answer = try_download(tmp_path, "http://owner.example/music.bin", mirrors=(lost.url, mirror.url))
    assert (answer.message, len(lost.requests), len(mirror.requests)) == ("", 1, 1)
    assert "the next address is asked" in capsys.readouterr().err


def test_a_mirror_may_have_the_whole_of_what_the_owner_has_in_parts(tmp_path):
    parts = (Remote(url="http://owner.example/music.bin.001"),)
    with serve_site(Site(CONTENT)) as mirror:
        answer = try_download(tmp_path, "http://owner.example/music.bin", parts=parts, mirrors=(mirror.url,))
    assert answer.message == ""


def test_what_a_killed_job_left_of_a_joined_file_is_removed(tmp_path):
    (tmp_path / ".music.bin.a1b2.partial.bin").write_bytes(b"half")
    assert ask(tmp_path, lambda *_: False).message == ""


def test_every_length_and_checksum_that_is_known_is_stated():
    """The lengths are those of the audit of public sources; MagnaTagATune's parts are stated by one project alone."""
    level = registry.load("dataset", "magnatagatune")
    audio, annotations = level.REMOTES["audio"], level.REMOTES["annotations"]
    assert [part.checksum[:4] for part in audio.parts] == ["179c", "acf8", "582d"]
    assert audio.bytes == sum(part.bytes for part in audio.parts)
    assert all(file.one_witness == ("checksum", "bytes") for file in (audio, *audio.parts))
    assert annotations.one_witness == ()
    for name in registry.names("dataset"):
        level = registry.load("dataset", name)
        for remote in dataset_facts.remotes(level, registry.options(level, {})).values():
            assert remote.checksum
            assert remote.bytes or not remote.unpack
