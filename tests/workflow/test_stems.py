"""A corpus with stems, and the evaluation of separation that reads it, through the workflow."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.checkout import REPOSITORY
from tests.workflow.smoke_run import NOT_COPIED, SMOKE, snakemake

pytestmark = pytest.mark.slow

CONFIG = {
    "studies": ["separation_schemes"],
    "trim": {"separation_schemes": {"recipe": ["smoke"]}},
    "datasets": {"musdb18": {"source": "twin", "twin": {"clips": 6, "clip_seconds": 4, "seed": 1}}},
    "encoders": {"unet": {"width": 0.1}},
}
CORPUS = "results/smoke/corpora/musdb18/16000"
SEPARATION = "results/smoke/pretrained/musdb18/unet/drums/equal/none/smoke/seed0/separation.json"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workflow") / "prelude"
    shutil.copytree(REPOSITORY, folder, ignore=NOT_COPIED)
    (folder / "stems.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    run(folder)
    return folder


def run(folder: Path, *arguments: str) -> set[str]:
    """Make the evaluation of separation, and return the rules that ran."""
    result = snakemake(folder, "--show-failed-logs", *arguments, "--", SEPARATION, configfiles=(SMOKE, "stems.yaml"))
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-5000:]
    return set(re.findall(r"^(?:local)?rule (\w+):", result.stdout + result.stderr, re.M))


def test_separation_is_evaluated_on_songs_not_used_in_pretraining(finished: Path) -> None:
    quality = json.loads((finished / SEPARATION).read_text(encoding="utf-8"))
    assert set(quality["sources"]) == {"drums"}
    assert quality["source"] == "twin"
    assert quality["songs"] == 2, "a third of the twin's six songs test"
    assert run(finished, "--dry-run") == set()


def test_a_deleted_stem_is_made_again_for_a_job_that_reads_it(finished: Path) -> None:
    stem = finished / CORPUS / "audio.bass.int16"
    before = stem.read_bytes()
    stem.unlink()
    (finished / SEPARATION).unlink()
    assert "prepare_with_stems" in run(finished)
    assert stem.read_bytes() == before
