"""Distinct clips of a twin are not taken for one recording, so a study may demand that its data do not leak."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workflow_scripts import acquire, prepare
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.audio.decode import decode, to_int16
from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.leakage.fingerprint import SHIFTS, Fingerprinter
from workflow_scripts.leakage.overlaps import Audit, AuditedCorpus
from workflow_scripts.leakage.search import FingerprintIndex
from workflow_scripts.levels import registry
from workflow_scripts.synthesis.write import ClipSpec, write_clip

RATE = 16_000
SECONDS = 2.0  # enough sound to be compared, and cheap to render
LOADERS = sorted(registry.names("twin"))
#: pairs of clips of the demo's twins, the most similar of a million: bare instruments that play similar figures
DEMO = {
    "openmic": {"clips": 600, "clip_seconds": 3.0, "seed": 2},
    "audioset_music": {"clips": 600, "clip_seconds": 4.0},
}
ALIKE = (
    (("openmic", "001713"), ("openmic", "071446")),
    (("openmic", "078802"), ("openmic", "149694")),
    (("openmic", "041637"), ("audioset_music", "TLeCo1mOvFW")),
)


def prepare_twin(loader: str, folder: Path) -> Corpus:
    common: dict = {"dataset": loader, "loader": loader, "source": "twin"}
    common |= {"options": {"subset": "small"}} if loader == "fma" else {}
    twin = {"clips": 3 if loader == "musdb18" else 12, "clip_seconds": SECONDS, "seed": 5}
    acquire.main(["--config", json.dumps({**common, "twin": twin}), "--code", "c", "--output", str(folder / "data")])
    settings = {**common, "sample_rate": RATE}
    settings |= {"options": {"clips": None}} if loader == "audioset_music" else {}
    flags = ["--config", json.dumps(settings), "--code", "c", "--output", str(folder / "corpus")]
    prepare.main([*flags, "--acquired", str(folder / "data" / "acquired.json")])
    return Corpus(folder / "corpus")


@pytest.mark.slow
def test_no_twin_leaks(tmp_path: Path) -> None:
    leaks = {}
    pool = AuditedCorpus(prepare_twin("audioset_music", tmp_path / "pool"))
    for loader in LOADERS:
        audit = Audit(AuditedCorpus(prepare_twin(loader, tmp_path / loader)), threads=1)
        overlaps = [*audit.find_within(), *(audit.find_across(pool) if loader != "audioset_music" else [])]
        leaks |= {(loader, leak.clip, leak.other_clip): leak.kind for leak in overlaps if leak.leak}
        assert audit.index.too_short < len(audit.index.lengths) / 2
    assert leaks == {}


@pytest.mark.slow
@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_the_most_similar_clips_of_the_demo_are_not_one_recording(tmp_path, monkeypatch, one, other) -> None:
    first, second = (fingerprint_clip(tmp_path, monkeypatch, *name) for name in (one, other))
    for query, indexed in ((first, second), (second, first)):
        assert FingerprintIndex([indexed.codes[SHIFTS.index(0)]]).search(query) == []


def fingerprint_clip(folder: Path, monkeypatch: pytest.MonkeyPatch, loader: str, name: str):
    """Render, encode and decode one clip of a twin of the demo."""
    twin, module, specs = TwinOptions(**{"seed": 1, **DEMO[loader]}), registry.load("twin", loader), []
    monkeypatch.setattr(module, "write_clips", lambda _, clips, **__: specs.extend(clips))
    module.write(folder / loader, twin)
    (spec,) = (spec for spec in specs if Path(spec.path).name.startswith(name))
    assert isinstance(spec, ClipSpec)
    write_clip(folder, spec, twin.clip_seconds)
    samples, _ = to_int16(decode(folder / spec.path, sample_rate=RATE))
    return Fingerprinter(RATE)(samples)
