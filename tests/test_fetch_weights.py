"""Weights that heads start from are fetched by a job of their own."""

from __future__ import annotations

import json
import os
import socket
import ssl
from pathlib import Path

import pytest
import timm

from workflow_scripts import fetch_weights
from workflow_scripts.core.errors import UserError
from workflow_scripts.sources.connection import BUNDLES

MODEL = "deit_tiny_distilled_patch16_224"


@pytest.fixture(autouse=True)
def no_certificates_of_this_machine(monkeypatch):
    for name in (*BUNDLES, "SSL_CERT_DIR"):
        monkeypatch.setenv(name, "")


def fetch(note):
    fetch_weights.main(["--config", json.dumps({"model": MODEL}), "--code", "c", "--output", str(note)])


def test_timm_fetches_the_model_and_a_note_says_so(tmp_path, monkeypatch):
    fetched = []
    monkeypatch.setattr(timm, "create_model", lambda name, *, pretrained: fetched.append((name, pretrained)))
    fetch(tmp_path / "timm" / "note.json")
    assert fetched == [(MODEL, True)]
    assert json.loads((tmp_path / "timm" / "note.json").read_text()) == {"model": MODEL}


def test_without_internet_one_line_says_where_to_run_it(tmp_path, monkeypatch):
    def refuse(name: str, **options: bool) -> None:
        raise OSError("[Errno 101] Network is unreachable")

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(UserError, match="run the target `acquire_all` where there is internet, such as the login node"):
        fetch(tmp_path / "note.json")
    assert not (tmp_path / "note.json").exists()


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (
            ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"),
            "name their file in REQUESTS_CA",
        ),
        (socket.gaierror(-2, "Name or service not known"), "the name of its host was not resolved"),
        (ConnectionRefusedError(111, "Connection refused"), "its host refused the connection"),
        (ValueError("no such model"), "the cache has no such file"),
    ],
)
def test_the_cause_behind_the_message_of_the_hub_is_named(tmp_path, monkeypatch, cause, words):
    def refuse(name: str, **options: bool) -> None:
        raise OSError("the cache has no such file") from cause

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(UserError, match=words):
        fetch(tmp_path / "note.json")


def test_certificates_of_requests_serve_the_hub_too(tmp_path, monkeypatch):
    bundle = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    if not Path(bundle).is_file():
        pytest.skip("this machine has no file of certificates")
    seen = []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: seen.append(os.environ.get("SSL_CERT_FILE")))
    fetch(tmp_path / "note.json")
    assert seen == [bundle]
