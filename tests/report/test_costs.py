from pathlib import Path

import pytest

from tests.report.aggregated_study import use_default_labels
from workflow_scripts.core.checksums import write_record
from workflow_scripts.core.errors import UserError
from workflow_scripts.report import costs


def record(path: Path, *, seconds: float, memory: float = 1e9, device: str = "cpu", **config: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"config": config, "seconds": seconds, "peak_memory_bytes": memory, "device": device}
    write_record(path, content | {"versions": {"numpy": "2.0" if device == "cpu" else "2.1"}}, files={})


def read_all(stage: str, *paths: Path) -> list[costs.JobRecord]:
    return [job for path in paths for job in costs.read_records(stage, path, {})]


def test_jobs_of_a_stage_are_added_up_and_other_files_ignored(tmp_path: Path) -> None:
    record(tmp_path / "a/b/record.json", seconds=60)
    record(tmp_path / "a/c.json", seconds=5.5, memory=2.5e9)
    write_record(tmp_path / "a/corpus.json", {"dataset": "x"}, files={})
    records = read_all("prepare", *sorted(tmp_path.rglob("*.json")))
    assert costs.by_stage(records) == [("prepare", "cpu", "2", "1 min 06 s", "1 min 00 s", "2.5 GB")]


def test_devices_are_counted_separately_and_versions_together(tmp_path: Path) -> None:
    record(tmp_path / "1.json", seconds=1)
    record(tmp_path / "2.json", seconds=2, device="cuda")
    records = read_all("embed", tmp_path / "1.json", tmp_path / "2.json")
    assert [row[:3] for row in costs.by_stage(records)] == [("embed", "cpu", "1"), ("embed", "cuda", "1")]
    assert costs.versions(records) == [("numpy", "2.0, 2.1")]


def test_a_pretrained_run_is_named_by_encoder_corpus_workers_and_seed(tmp_path: Path) -> None:
    use_default_labels()
    workers = {"lps": {}, "mfcc": {}}
    path = tmp_path / "record.json"
    record(path, seconds=90, encoder={"name": "pase"}, workers=workers, corpus="audioset_music", seed=3)
    (row,) = costs.by_run(costs.read_records("pretrain", path, {}))
    assert row == ("PASE on AudioSet Music, workers lps, mfcc, seed 3", "cpu", "1 min 30 s", "1.0 GB")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_a_damaged_record_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "record.json").write_bytes(content)
    with pytest.raises(UserError, match=r"record\.json is damaged: delete "):
        costs.read_records("evaluate", tmp_path / "record.json", {})


def test_a_missing_record_costs_nothing(tmp_path: Path) -> None:
    assert costs.read_records("evaluate", tmp_path / "record.json", {}) == []
