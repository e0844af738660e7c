"""Weights that heads start from are fetched by a job of their own."""

from __future__ import annotations

import json

import pytest
import timm

from workflow_scripts import fetch_weights
from workflow_scripts.core.errors import UserError

MODEL = "deit_tiny_distilled_patch16_224"


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
