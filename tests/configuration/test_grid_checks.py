"""Heads that read maps: what a study may combine them with, and which settings their jobs read."""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.checkout import REPOSITORY
from workflow_scripts.configuration import compatibility
from workflow_scripts.configuration.load import load
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels import registry
from workflow_scripts.planning.plan import Plan

FOLDER = REPOSITORY / "config"
PAPER = yaml.safe_load((FOLDER / "config.yaml").read_text(encoding="utf-8"))
STUDY = yaml.safe_load((FOLDER / "studies" / "wu2021_fig6.yaml").read_text(encoding="utf-8"))
PHASES = [{"optimiser": "adam", "learning_rate": 0.0001}, {"optimiser": "sgd", "learning_rate": 0.001}]


def build_plan(tmp_path: Path, protocol: dict[str, Any] | None = None, **grid: list[str]) -> Plan:
    """Plan of one study of U-Nets and heads that read maps, with other levels in its grid."""
    folder = tmp_path / "config"
    shutil.copytree(FOLDER, folder)
    study = {key: STUDY[key] for key in ("title", "question", "metric", "columns")} | {"floors": [], "comparisons": []}
    chosen = {"encoder": ["unet"], "workers": ["WLP"], "weighting": ["equal"], "head": ["short_chunk_cnn"]}
    study["grid"] = STUDY["grid"] | chosen | {"scenario": ["fine_tuned"]} | grid
    study["rows"] = ["encoder", "head", "scenario"]
    (folder / "studies" / "maps.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    config = copy.deepcopy(PAPER) | {"studies": ["maps"]}
    config["heads"] |= {"short_chunk_cnn": {}, "ast": {"imagenet": False}}
    config["protocols"]["wu2021"] |= protocol or {}
    return Plan(*load([], folder=folder, merged=config))


def test_both_heads_go_with_every_encoder_of_maps_and_training_scenario(tmp_path):
    plan = build_plan(
        tmp_path,
        encoder=["unet", "unet_multiple"],
        head=["short_chunk_cnn", "ast"],
        scenario=["supervised", "fine_tuned", "three_stage"],
    )
    assert len(plan.cells) == 2 * 2 * 3


def test_a_bare_head_learns_on_the_spectrogram(tmp_path):
    plan = build_plan(tmp_path, encoder=["magnitude"], scenario=["supervised"])
    ((run, cell),) = plan.cells
    assert (run.encoder, run.has_encoder_file, cell.scenario) == ("magnitude", False, "supervised")


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
        build_plan(tmp_path, **grid)
    assert "\n" not in str(raised.value)


def separation(
    tmp_path: Path,
    *,
    floors: Sequence[str] = (),
    sets: Mapping[str, list[str]] | None = None,
    recipe: Mapping[str, Any] | None = None,
    protocol: Mapping[str, Any] | None = None,
    heads: Mapping[str, Any] | None = None,
    **grid: list[str],
) -> None:
    """Check one study of a U-Net that separated vocals of MUSDB18, with other levels in its grid."""
    folder = tmp_path / "config"
    shutil.copytree(FOLDER, folder)
    study = {key: STUDY[key] for key in ("title", "question", "metric", "columns")} | {"comparisons": []}
    chosen = {"corpus": ["musdb18"], "encoder": ["unet"], "workers": ["vocals"], "weighting": ["equal"]}
    chosen |= {"recipe": ["separation_vocals"], "head": ["short_chunk_cnn"], "scenario": ["fine_tuned"]}
    chosen |= {"protocol": ["garoufis2024"]}
    study["grid"] = STUDY["grid"] | chosen | grid
    study |= {"rows": ["corpus", "encoder", "workers", "head", "scenario"], "floors": list(floors)}
    (folder / "studies" / "maps.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    config = copy.deepcopy(PAPER) | {"studies": ["maps"]}
    config["worker_sets"] |= sets or {}
    config["recipes"]["separation_vocals"] |= recipe or {}
    config["protocols"]["garoufis2024"] |= protocol or {}
    config["heads"] |= heads or {}
    load([], folder=folder, merged=config)


def test_what_the_poster_does_can_be_planned(tmp_path):
    separation(tmp_path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"corpus": ["magnatagatune"]},
            "grid.corpus: magnatagatune has no stems for separation_vocals to separate; allowed: musdb18",
        ),
        (
            {"encoder": ["unet_multiple"]},
            "grid.encoder: unet_multiple has no masks for separation_vocals; allowed: unet",
        ),
        (
            {"workers": ["multiple"]},
            "grid.encoder: unet has no masks for separation_multiple; allowed: unet_multiple",
        ),
        (
            {"encoder": ["pase"], "head": ["linear"]},
            "grid.encoder: pase has no masks for separation_vocals; allowed: unet",
        ),
        (
            {"sets": {"two": ["separation_bass", "separation_drums"]}, "workers": ["two"]},
            "worker_sets.two: separation_bass and separation_drums are the same level, separation;",
        ),
        (
            {"sets": {"two": ["separation_bass", "contrastive"]}, "workers": ["two"]},
            "worker separation mixes crops of several clips: remove workers that compare views",
        ),
        (
            {"sets": {"two": ["separation_bass", "prosody"]}, "workers": ["two"]},
            "worker separation mixes crops of several clips: remove workers that compare views",
        ),
        ({"recipe": {"join_songs": True}}, "worker separation mixes crops of several clips"),
        ({"augmentation": ["polarity"]}, "augmentation polarity: one_sided needs a worker that compares two views"),
        ({"head": ["msspt_icassp"], "scenario": ["three_stage"]}, "msspt_icassp cannot learn in three stages"),
        ({"floors": ["random_unet"]}, "floors: floors are evaluated frozen and head short_chunk_cnn reads maps"),
        ({"protocol": {"crops": "pool"}}, "short_chunk_cnn has no embeddings to pool"),
        (
            {"protocol": {"heads": {"short_chunk_cnn": {"crops": "pool"}}}},
            "short_chunk_cnn has no embeddings to pool",
        ),
        (
            {"protocol": {"heads": {"mlpp": {"batch": 16}}}},
            "protocols.garoufis2024.heads: unknown head 'mlpp' (did you mean mlp?); allowed: short",
        ),
    ],
)
def test_what_separation_cannot_do_is_one_line(tmp_path, given, message):
    with pytest.raises(UserError, match=re.escape(message)) as raised:
        separation(tmp_path, **given)
    assert "\n" not in str(raised.value)


def with_a_file(tmp_path: Path, path: Path, **grid: list[str]) -> None:
    """Check a study of a bare transformer, or of other heads, where the transformer's weights are those of a file."""
    separation(tmp_path, heads={"ast": {"checkpoint": str(path)}}, **{"head": ["ast"], **grid})


def test_a_head_may_start_from_a_file(tmp_path):
    path = tmp_path / "deit.pth"
    path.touch()
    with_a_file(tmp_path, path)


@pytest.mark.parametrize(("name", "wrong"), [("diet.pth", "there is no such file"), ("", "is a folder")])
def test_a_wrong_file_of_a_head_is_reported_before_anything_is_pre_trained(tmp_path, name, wrong):
    path = tmp_path / name
    with pytest.raises(UserError, match=re.escape(f"grid.head: ast starts from {path}: {wrong}; name")) as raised:
        with_a_file(tmp_path, path)
    assert "\n" not in str(raised.value)


def test_the_file_of_a_head_that_no_study_has_may_be_missing(tmp_path):
    with_a_file(tmp_path, tmp_path / "diet.pth", head=["short_chunk_cnn"])


def test_stems_and_masks_are_required_only_where_something_is_pretrained(tmp_path):
    separation(tmp_path, scenario=["supervised"], corpus=["magnatagatune"])


@pytest.mark.parametrize("name", [name for name in PAPER["workers"] if name.startswith("separation")])
def test_planning_knows_what_a_worker_separates(name):
    entry = registry.entry(PAPER["workers"], name)
    worker = registry.load("worker", entry.level)
    options = registry.options(worker, entry.options)
    sources = worker.mix(options).sources
    assert sources == worker.build(options, embedding_size=8).sources
    assert len(sources) == (4 if name == "separation_multiple" else 1)


def test_workers_that_need_different_mixtures_are_refused():
    with pytest.raises(UserError, match="workers bass and drums need different mixtures: choose one of them"):
        compatibility.require_compatible_crops(joined=False, stored=[], mixing=["bass", "drums"], views=1)


@pytest.mark.parametrize(
    ("level", "options"), [("short_chunk_cnn", {}), *(("ast", {"frames": frames}) for frames in (384, 768))]
)
def test_planning_knows_the_window_that_a_head_reads(level, options):
    head = registry.load("head", level)
    small = {"size": "tiny", "imagenet": False} if level == "ast" else {"width": 0.1}
    built = head.build(head.Options(**options, **small), sources=0, decoder=(), outputs=1)
    assert head.window(head.Options(**options)) == built.samples


def test_numbers_of_a_head_go_over_the_general_ones_and_below_those_of_a_scenario(tmp_path):
    numbers = {"heads": {"short_chunk_cnn": {"batch": 16, "patience": 7}}, "scenarios": {"fine_tuned": {"batch": 8}}}
    plan = build_plan(tmp_path, numbers, scenario=["fine_tuned", "supervised"])
    read = {cell.scenario: json.loads(plan.jobs.evaluate(run, cell).config)["training"] for run, cell in plan.cells}
    assert (read["fine_tuned"]["batch"], read["supervised"]["batch"]) == (8, 16)
    assert {options["patience"] for options in read.values()} == {7}
    plan = build_plan(tmp_path / "other", numbers, head=["linear"])
    ((run, cell),) = plan.cells
    assert (
        json.loads(plan.jobs.evaluate(run, cell).config)["training"]["patience"]
        == PAPER["protocols"]["wu2021"]["patience"]
    )


def test_jobs_read_the_phases_only_where_the_encoder_trains(tmp_path):
    plan = build_plan(tmp_path, {"phases": PHASES}, head=["linear"], scenario=["frozen", "fine_tuned"])
    read = {cell.scenario: json.loads(plan.jobs.evaluate(run, cell).config)["training"] for run, cell in plan.cells}
    assert read["fine_tuned"]["phases"] == PHASES
    assert "phases" not in read["frozen"]


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        ({"optimiser": "lars", "learning_rate": 1}, "'lars' is not allowed; allowed: adam, sgd"),
        ({"optimiser": "adam"}, "'learning_rate' is missing; allowed: a number"),
        ({"optimiser": "sgd", "learning_rate": 0.1, "momentum": 0.9}, "unknown key 'momentum'"),
        ({"optimiser": "adam", "learning_rate": 1e38}, r"1e\+38 is not allowed; allowed: at most 1e\+30"),
        (
            {"optimiser": "adam", "learning_rate": 0.1, "encoder_learning_rate": 1e38},
            r"1e\+38 is not allowed; allowed: at most 1e\+30",
        ),
    ],
)
def test_wrong_phases_are_one_line(tmp_path, phase, message):
    for place in ({"phases": [phase]}, {"scenarios": {"fine_tuned": {"phases": [phase]}}}):
        with pytest.raises(UserError, match=message):
            build_plan(tmp_path, place)
        shutil.rmtree(tmp_path / "config")
