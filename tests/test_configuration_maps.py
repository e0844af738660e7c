"""Heads that read maps: what a study may combine them with, and which settings their jobs read."""

from __future__ import annotations

import copy
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.repository import REPOSITORY
from workflow_scripts import configuration
from workflow_scripts.errors import UserError
from workflow_scripts.planning import Plan

FOLDER = REPOSITORY / "config"
PAPER = yaml.safe_load((FOLDER / "config.yaml").read_text(encoding="utf-8"))
STUDY = yaml.safe_load((FOLDER / "studies" / "wu2021_fig6.yaml").read_text(encoding="utf-8"))
PHASES = [{"optimiser": "adam", "learning_rate": 0.0001}, {"optimiser": "sgd", "learning_rate": 0.001}]


def planned(tmp_path: Path, evaluation: dict[str, Any] | None = None, **grid: list[str]) -> Plan:
    """Plan of one study of U-Nets and heads that read maps, with other levels in its grid."""
    folder = tmp_path / "config"
    shutil.copytree(FOLDER, folder)
    study = {key: STUDY[key] for key in ("title", "question", "metric", "columns")} | {"floors": [], "comparisons": []}
    levels = {"encoder": ["unet"], "workers": ["WLP"], "weighting": ["equal"], "head": ["short_chunk_cnn"]}
    study["grid"] = STUDY["grid"] | levels | {"scenario": ["fine_tuned"]} | grid
    study["rows"] = ["encoder", "head", "scenario"]
    (folder / "studies" / "maps.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    config = copy.deepcopy(PAPER) | {"studies": ["maps"]}
    config["encoders"] |= {"unet": {}, "unet_multiple": {}, "magnitude": {}}
    config["heads"] |= {"short_chunk_cnn": {}, "ast": {"imagenet": False}}
    config["evaluation"] |= evaluation or {}
    return Plan(config, configuration.check(config, files=[], folder=folder))


def test_both_heads_go_with_every_encoder_of_maps_and_training_scenario(tmp_path):
    plan = planned(
        tmp_path,
        encoder=["unet", "unet_multiple"],
        head=["short_chunk_cnn", "ast"],
        scenario=["supervised", "fine_tuned", "three_stage"],
    )
    assert len(plan.evaluations) == 2 * 2 * 3


def test_a_bare_head_learns_on_the_spectrogram(tmp_path):
    plan = planned(tmp_path, encoder=["magnitude"], scenario=["supervised"])
    ((run, cell),) = plan.evaluations
    assert (run.encoder, run.pretrained, cell.scenario) == ("magnitude", False, "supervised")


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (
            {"scenario": ["frozen"]},
            "grid.scenario: frozen is for heads that read embedding, and short_chunk_cnn reads maps",
        ),
        (
            {"scenario": ["three_stage"], "head": ["linear"]},
            "grid.scenario: three_stage is for heads that read maps, and linear reads embedding",
        ),
        (
            {"encoder": ["pase"]},
            "grid.encoder: pase has no maps for head short_chunk_cnn; allowed: magnitude, unet, unet_multiple",
        ),
        ({"encoder": ["magnitude"]}, "grid.encoder: magnitude cannot be trained"),
        ({"encoder": ["magnitude"], "scenario": ["supervised"], "head": ["linear"]}, "magnitude cannot be trained"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, grid, message):
    with pytest.raises(UserError, match=re.escape(message)) as raised:
        planned(tmp_path, **grid)
    assert "\n" not in str(raised.value)


def test_jobs_read_the_phases_only_where_the_encoder_trains(tmp_path):
    plan = planned(tmp_path, {"phases": PHASES}, head=["linear"], scenario=["frozen", "fine_tuned"])
    read = {cell.scenario: json.loads(plan.evaluate(run, cell).config)["training"] for run, cell in plan.evaluations}
    assert read["fine_tuned"]["phases"] == PHASES
    assert "phases" not in read["frozen"]


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        ({"optimiser": "lars", "learning_rate": 1}, "'lars' is not allowed; allowed: adam, sgd"),
        ({"optimiser": "adam"}, "'learning_rate' is a required property"),
        ({"optimiser": "sgd", "learning_rate": 0.1, "momentum": 0.9}, "unknown key 'momentum'"),
    ],
)
def test_wrong_phases_are_one_line(tmp_path, phase, message):
    for place in ({"phases": [phase]}, {"scenarios": {"fine_tuned": {"phases": [phase]}}}):
        with pytest.raises(UserError, match=message):
            planned(tmp_path, place)
        shutil.rmtree(tmp_path / "config")
