"""Limit on the share of quarantined clips: beyond it no job opens the corpus."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.corpora import write_corpus
from tests.records import seal
from workflow_scripts.audio.corpus import Corpus, read_facts
from workflow_scripts.audio.quarantine_limit import SHARES_VARIABLE, require_within_limit
from workflow_scripts.core.errors import UserError

REASONS = {"a1": "silent", "a2": "empty", "a3": "empty", "a4": "truncated", "a5": "missing"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a corpus of 20 clips with 5 more in quarantine."""
    write_corpus(tmp_path / "tones", clips=20, seconds=0.1)
    rows = "".join(f"{clip},{reason}\n" for clip, reason in REASONS.items())
    (tmp_path / "tones" / "quarantine.csv").write_text("clip,reason\n" + rows)
    seal(tmp_path / "tones" / "quarantine.csv", quarantined=5)
    return tmp_path / "tones"


def test_a_corpus_beyond_the_limit_is_refused_with_its_reasons_in_one_line(folder, monkeypatch):
    monkeypatch.setenv(SHARES_VARIABLE, json.dumps({"tones": 0.1}))
    for open_corpus in (Corpus, read_facts):
        with pytest.raises(UserError) as caught:
            open_corpus(folder)
        line = str(caught.value)
        assert "\n" not in line
        assert "tones: 5 of 25 clips (20.0%)" in line
        assert "tolerates 10.0%" in line
        assert "2 empty such as a2, 1 silent such as a1, 1 truncated such as a4, 1 more reasons" in line
        assert str(folder / "quarantine.csv") in line


@pytest.mark.parametrize("limits", [None, "", "{}", '{"tones": 0.2}', '{"tones": 1}', '{"others": 0}'])
def test_a_corpus_within_the_limit_or_without_one_is_opened(folder, monkeypatch, limits):
    monkeypatch.delenv(SHARES_VARIABLE, raising=False)
    if limits is not None:
        monkeypatch.setenv(SHARES_VARIABLE, limits)
    assert len(Corpus(folder)) == 20


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(clips=st.integers(0, 10**6), quarantined=st.integers(0, 10**6), share=st.floats(0, 1))
def test_the_limit_is_a_share_of_all_clips_of_the_index(folder, monkeypatch, clips, quarantined, share):
    monkeypatch.setenv(SHARES_VARIABLE, json.dumps({"tones": share}))
    refused = False
    try:
        require_within_limit(folder, dataset="tones", clips=clips, quarantined=quarantined)
    except UserError:
        refused = True
    assert refused == (quarantined > share * (clips + quarantined))
