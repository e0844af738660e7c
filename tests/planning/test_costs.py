"""Costs of a plan, estimated from records."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.checkout import REPOSITORY
from tests.planning.test_plan import PAPER, plan_of, vary, vary_protocol
from workflow_scripts import plan as plan_command
from workflow_scripts.configuration.yaml_files import merge, read_yaml
from workflow_scripts.core.errors import UserError
from workflow_scripts.planning import costs
from workflow_scripts.planning.cost_records import MeasuredJob, read_measured_jobs
from workflow_scripts.planning.plan import Plan

SMOKE = REPOSITORY / "config" / "smoke.yaml"
GPU, CPU = "cuda: NVIDIA Made-Up", "cpu: x86_64"


@pytest.fixture
def plan() -> Plan:
    return plan_of(PAPER)


def stage_cost(plan: Plan, name: str, records: list[MeasuredJob]) -> costs.CostEstimate:
    return next(estimate for estimate in costs.estimate_costs(plan, records) if estimate.stage == name)


def pretraining(plan: Plan, *, encoder: str, seconds: float, device: str, workers: str | None = None) -> MeasuredJob:
    run = next(run for run in plan.pretrained_runs if run.encoder == encoder)
    read = json.loads(plan.jobs.pretrain(run).config)
    key = (json.dumps(read["encoder"], sort_keys=True), workers or json.dumps(read["workers"], sort_keys=True))
    return MeasuredJob(stage="pretrain", key=key, amount=100.0, seconds=seconds, device=device)


def test_without_records_nothing_is_claimed(plan: Plan) -> None:
    estimates = costs.estimate_costs(plan, [])
    assert estimates
    for estimate in estimates:
        assert (estimate.hours, estimate.records, estimate.unknown) == (0, 0, estimate.jobs)


def test_pretraining_takes_the_rate_of_alike_records(plan: Plan) -> None:
    alike = pretraining(plan, encoder="pase", seconds=50, device=CPU)
    pase = [run for run in plan.pretrained_runs if run.encoder == "pase"]
    estimate = stage_cost(plan, "pretrain", [alike])
    audio = 100_000 * 3 * 20  # clips, seconds of each, epochs
    assert estimate.hours == pytest.approx(len(pase) * audio * 0.5 / 3600)
    assert estimate.unknown == len(plan.pretrained_runs) - len(pase)
    assert estimate.device == CPU


def test_a_gpu_is_preferred_and_other_workers_are_better_than_nothing(plan: Plan) -> None:
    records = [
        pretraining(plan, encoder="pase", seconds=50, device=CPU, workers="others"),
        pretraining(plan, encoder="pase", seconds=1, device=GPU, workers="others"),
    ]
    estimate = stage_cost(plan, "pretrain", records)
    assert (estimate.device, estimate.records) == (GPU, 1)
    other_encoder = [MeasuredJob(stage="pretrain", key=("{}", "x"), amount=1, seconds=1, device=GPU)]
    assert stage_cost(plan, "pretrain", other_encoder).unknown == len(plan.pretrained_runs)


def test_long_jobs_count_for_more_than_short_ones(plan: Plan) -> None:
    long = pretraining(plan, encoder="pase", seconds=50, device=CPU)
    short = replace(long, amount=0.1, seconds=10.0)  # all of it start-up
    estimate, alone = (stage_cost(plan, "pretrain", records) for records in ([long, short], [long]))
    assert estimate.hours == pytest.approx(alone.hours * 60 / 50 * 100 / 100.1)


def test_trials_are_counted_with_all_epochs_they_may_take(plan: Plan) -> None:
    twice = plan_of(vary(protocols=vary_protocol(max_epochs=2 * PAPER["protocols"]["wu2021"]["max_epochs"])))
    run, cell = next(pair for pair in plan.cells if pair[1].scenario == "fine_tuned")
    key = (json.dumps([json.loads(plan.jobs.evaluate(run, cell).config)["encoder"]], sort_keys=True), "fine_tuned")
    records = [MeasuredJob(stage="evaluate_encoder", key=key, amount=1.0, seconds=1.0, device=GPU)]
    once, doubled = (stage_cost(variant, "evaluate_encoder", records) for variant in (plan, twice))
    assert doubled.hours == pytest.approx(2 * once.hours)
    assert once.hours > 0


WINDOW = 61_792 / 16_000  # seconds that a head on maps reads of a clip in an epoch
PHASED = {"phases": [{"optimiser": "adam", "learning_rate": 0.1, "max_epochs": limit} for limit in (5, 2)]}
OPEN = {"phases": [*PHASED["phases"], {"optimiser": "sgd", "learning_rate": 0.1}]}


def separating(
    *, grid: dict[str, Any], heads: dict[str, Any] | None = None, protocol: dict[str, Any] | None = None
) -> Plan:
    """The study of schemes with other levels in its grid, on a twin of 100 clips of 29 s."""
    twin = {"source": "twin", "twin": {"clips": 100, "clip_seconds": 29, "seed": 0}}
    own = {"encoder": ["unet"], "workers": ["other"], "comparisons": [], "published": [], **grid}
    return plan_of(
        {
            **vary(heads=heads or {}, datasets={"magnatagatune_filtered": {"loader": "magnatagatune", **twin}}),
            "studies": ["garoufis2024_schemes"],
            "trim": {"garoufis2024_schemes": own},
            "protocols": {
                "garoufis2024": {
                    **{"trials": 1, "learning_rate": 0.1, "patience": 1, "max_epochs": 200, "batch": 4},
                    **{"crop_seconds": 3, **(protocol or {})},
                }
            },
        }
    )


def evaluation_records(folder: Path, plan: Plan, *, head: str | None = None, seconds: float) -> list[MeasuredJob]:
    """Records of one clip that each cell of a plan, or those with a head, read for one epoch, in so many seconds."""
    for number, (run, cell) in enumerate(plan.cells):
        if head not in (None, cell.head):
            continue
        config = json.loads(plan.jobs.evaluate(run, cell).config) | {"trials": 1}
        write(folder / f"evaluations/{number}", record=record(config, seconds=seconds))
        (folder / f"evaluations/{number}/trials.csv").write_text("trial,epochs\n0,1\n", encoding="utf-8")
    corpus = {"digest": "d", "sample_rate": 16000, "seconds": 29.0, "clips": 1}
    write(folder / "corpora/tones/16000", corpus=corpus)
    jobs, odd = read_measured_jobs([folder])
    assert odd == []
    return jobs


def record(config: dict[str, Any], *, seconds: float) -> dict[str, Any]:
    return {"config": config, "seconds": seconds, "device": CPU, "data": {"tones": "d"}}


def test_each_head_on_maps_has_a_rate_of_its_own(tmp_path: Path) -> None:
    heads = ["short_chunk_cnn", "ast"]
    bare = separating(grid={"encoder": ["magnitude"], "head": heads, "scenario": ["supervised"]})
    cnn = evaluation_records(tmp_path / "cnn", bare, head="short_chunk_cnn", seconds=WINDOW)
    assert stage_cost(bare, "evaluate_encoder", cnn).unknown == 1
    both = [*cnn, *evaluation_records(tmp_path / "ast", bare, head="ast", seconds=5 * WINDOW)]
    assert stage_cost(bare, "evaluate_encoder", both).hours == pytest.approx((1 + 5) * 200 * 100 * WINDOW / 3600)


def test_a_head_on_an_embedding_says_nothing_of_one_on_maps(tmp_path: Path) -> None:
    linear = separating(grid={"head": ["linear"], "scenario": ["fine_tuned"]})
    maps = separating(grid={"head": ["short_chunk_cnn"], "scenario": ["fine_tuned"]})
    records = evaluation_records(tmp_path / "linear", linear, head="linear", seconds=1.0)
    assert stage_cost(maps, "evaluate_encoder", records).unknown == 1
    assert stage_cost(linear, "evaluate_encoder", records).hours == pytest.approx(200 * 100 / 3600)
    mlp = separating(grid={"head": ["mlp"], "scenario": ["fine_tuned"]})
    assert stage_cost(mlp, "evaluate_encoder", records).unknown == 0, "beside the encoder such a head costs nothing"


def test_what_a_head_starts_from_costs_nothing_and_its_size_does(tmp_path: Path) -> None:
    grid = {"encoder": ["magnitude"], "head": ["ast"], "scenario": ["supervised"]}
    whole, drawn = separating(grid=grid), separating(grid=grid, heads={"ast": {"imagenet": False}})
    tiny = separating(grid=grid, heads={"ast": {"size": "tiny"}})
    records = evaluation_records(tmp_path / "ast", drawn, head="ast", seconds=1.0)
    assert stage_cost(whole, "evaluate_encoder", records).unknown == 0
    assert stage_cost(tiny, "evaluate_encoder", records).unknown == 1


def test_heads_on_maps_read_their_own_window_and_the_others_the_crop(tmp_path: Path) -> None:
    long = separating(
        grid={"encoder": ["magnitude"], "head": ["ast"], "scenario": ["supervised"]}, heads={"ast": {"frames": 768}}
    )
    linear = separating(grid={"head": ["linear"], "scenario": ["fine_tuned"]})
    (measured,) = evaluation_records(tmp_path / "long", long, head="ast", seconds=1.0)
    assert measured.amount == pytest.approx(123_232 / 16_000)
    (measured,) = evaluation_records(tmp_path / "linear", linear, head="linear", seconds=1.0)
    assert measured.amount == 3


@pytest.mark.parametrize(
    ("protocol", "epochs"),
    [({}, 200), ({"phases": []}, 200), (PHASED, 7), (PHASED | {"max_epochs": 6}, 6), (OPEN, 200)],
)
def test_phases_with_limits_end_a_trial(tmp_path: Path, protocol: dict[str, Any], epochs: int) -> None:
    grid = {"encoder": ["magnitude"], "head": ["ast"], "scenario": ["supervised"]}
    plan = separating(grid=grid, protocol=protocol)
    records = evaluation_records(tmp_path / "ast", plan, head="ast", seconds=1.0)
    assert stage_cost(plan, "evaluate_encoder", records).hours == pytest.approx(epochs * 100 / 3600)


def test_three_stages_train_twice_after_pre_training(tmp_path: Path) -> None:
    plan = separating(grid={"head": ["short_chunk_cnn"]}, protocol=PHASED)
    assert {cell.scenario for _, cell in plan.cells} == {"fine_tuned", "three_stage"}
    records = evaluation_records(tmp_path / "cnn", plan, head="short_chunk_cnn", seconds=1.0)
    assert stage_cost(plan, "evaluate_encoder", records).hours == pytest.approx((7 + 2 * 7) * 100 / 3600)


def test_the_pilot_speaks_of_the_back_ends_of_the_paper_alone_and_behind_one_mask(tmp_path: Path) -> None:
    files = [REPOSITORY / "config" / f"{name}.yaml" for name in ("config", "pilot")]
    records = evaluation_records(tmp_path / "pilot", plan_of(merge([read_yaml(file) for file in files])), seconds=1.0)
    paper = plan_of(PAPER | {"studies": ["garoufis2024_results", "garoufis2024_schemes"]})
    of_four = [run for run, _ in paper.cells if run.encoder == "unet_multiple"]
    assert stage_cost(paper, "evaluate_encoder", records).unknown == len(of_four) < len(paper.cells)


def test_an_epoch_of_clips_reads_a_piece_of_each(plan: Plan) -> None:
    pase = next(run for run in plan.pretrained_runs if run.encoder == "pase")
    recipe = {**PAPER["recipes"][pase.recipe], "epoch_of": "clips"}
    chunk = recipe["chunk_seconds"]
    by_clips = plan_of(vary(recipes={pase.recipe: recipe}))
    clmr = ["spijkervet2021_table6_5"]  # stored targets of PASE's workers would end with each clip, not with a song
    by_songs = plan_of(PAPER | {"studies": clmr})
    recipe_by_clips = {**PAPER["recipes"]["clmr_96"], "join_songs": False}
    by_its_clips = plan_of(vary(recipes={"clmr_96": recipe_by_clips}) | {"studies": clmr})
    song_record = pretraining(by_songs, encoder="samplecnn", seconds=50, device=CPU)
    alike = pretraining(plan, encoder="pase", seconds=50, device=CPU)
    runs = len([run for run in plan.pretrained_runs if run.encoder == "pase"])
    assert stage_cost(by_clips, "pretrain", [alike]).hours == pytest.approx(
        runs * 100_000 * chunk * recipe["epochs"] * 0.5 / 3600
    )
    assert stage_cost(by_its_clips, "pretrain", [song_record]).unknown == len(by_songs.pretrained_runs) - 1
    assert stage_cost(by_songs, "pretrain", [song_record]).unknown == len(by_songs.pretrained_runs), (
        "no plan knows the number of songs"
    )


def test_disk_space_follows_from_the_sets(plan: Plan) -> None:
    by_name = {part.kind: part for part in costs.estimate_space(plan)}
    seconds = 100_000 * 3 + 20_000 * 10 + 8_000 * 30 + 4_180 * 30
    assert by_name["corpora"].size == seconds * 16_000 * 2
    assert by_name["features"].size == 100_000 * 3 * 100 * 4 * 4, "prosody: four channels of float32 at 100 Hz"
    assert by_name["corpora"].unknown == 0


def test_a_folder_of_unknown_size_is_reported_as_unknown() -> None:
    entry = {"loader": "folder", "source": "local", "path": "mine", "options": {"labels": "folders"}}
    config = vary(datasets={"openmic": entry})
    config["datasets"]["openmic"] = entry
    by_name = {part.kind: part for part in costs.estimate_space(plan_of(config))}
    assert by_name["corpora"].unknown == 1


def test_stems_take_as_much_space_as_their_mixture() -> None:
    entry = {"loader": "musdb18", "source": "local", "path": "mine"}
    config = vary(datasets={"audioset_music": entry})
    config["datasets"]["audioset_music"] = entry
    by_name = {part.kind: part for part in costs.estimate_space(plan_of(config))}
    others = 20_000 * 10 + 8_000 * 30 + 4_180 * 30
    assert by_name["corpora"].size == (150 * 240 * 5 + others) * 16_000 * 2


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with a record of each kind that a corpus, a run and a cell leave."""
    folder = tmp_path / "results"
    write(
        folder / "corpora/tones/16000",
        corpus={"digest": "d", "sample_rate": 16000, "seconds": 40.0, "clips": 20},
        record={"config": {"loader": "x"}, "seconds": 2.0, "device": CPU, "data": {}},
    )
    recipe = {"batch": 4, "chunk_seconds": 0.5}
    encoder: dict[str, Any] = {"name": "pase", "options": {}}
    workers: dict[str, Any] = {"lps": {}}
    write(
        folder / "pretrained/run",
        record={
            "config": {"recipe": recipe, "encoder": encoder, "workers": workers},
            **{"steps": 10, "training_seconds": 5.0, "seconds": 9.0, "device": GPU, "data": {"tones": "d"}},
        },
    )
    training = {"crop_seconds": None, "max_epochs": 30}
    config = {"encoder": encoder, "trials": 3, "fraction": "50pct", "training": training, "scenario": "fine_tuned"}
    config["head"] = {"name": "linear", "options": {}}
    write(
        folder / "evaluations/run/cell",
        record={"config": config, "seconds": 6.0, "device": GPU, "data": {"tones": "d"}},
    )
    (folder / "evaluations/run/cell/trials.csv").write_text("trial,epochs\n0,4\n1,5\n2,6\n", encoding="utf-8")
    return folder


def test_records_are_read_from_results(results: Path) -> None:
    jobs, odd = read_measured_jobs([results])
    assert odd == []
    by_stage = {job.stage: job for job in jobs}
    assert by_stage["prepare"].amount == 40
    assert (by_stage["pretrain"].amount, by_stage["pretrain"].seconds) == (10 * 4 * 0.5, 5.0)
    assert by_stage["evaluate_encoder"].amount == 3 * 20 * 0.5 * 2.0 * 5, "trials x clips x share x seconds x epochs"


def test_what_judging_took_is_read_by_the_corpus_it_judged(results: Path) -> None:
    content = {"config": {"encoder": {"name": "unet"}}, "seconds": 7.0, "device": CPU, "data": {"tones": "d"}}
    (results / "pretrained/run/separation.json").write_text(json.dumps(content), encoding="utf-8")
    (job,) = (job for job in read_measured_jobs([results])[0] if job.stage == "evaluate_separation")
    assert (job.amount, job.seconds, job.key) == (40, 7.0, ('{"name": "unet"}',))


RECORDS = ("corpora/tones/16000/record.json", "pretrained/run/record.json", "evaluations/run/cell/record.json")


@pytest.mark.parametrize("content", ["", "{", "[1]", "null", "{}", '{"config": []}', "\0\xff"])
@pytest.mark.parametrize("name", [*RECORDS, "evaluations/run/cell/trials.csv"])
def test_a_record_that_cannot_be_read_is_left_out_and_named(results: Path, name: str, content: str) -> None:
    (results / name).write_text(content, encoding="latin-1")
    jobs, odd = read_measured_jobs([results])
    if name == RECORDS[1] and content in ("{}", '{"config": []}'):  # no steps: that of an imported checkpoint
        assert odd == []
    else:
        assert odd == [(results / name).with_name("record.json")]
    assert len(jobs) == len(RECORDS) - 1


JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.slow
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_records_of_anything_raise_no_error_and_give_no_negative_hours(
    results: Path, plan: Plan, data: st.DataObject
) -> None:
    damaged_results = results.with_name("damaged")
    shutil.rmtree(damaged_results, ignore_errors=True)
    shutil.copytree(results, damaged_results)
    path = damaged_results / data.draw(st.sampled_from([*RECORDS, "corpora/tones/16000/corpus.json"]))
    record = json.loads(path.read_text(encoding="utf-8"))
    place = record
    while isinstance(place, dict) and place:
        key = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[key], dict) or not place[key] or data.draw(st.booleans()):
            place[key] = data.draw(JUNK)
            break
        place = place[key]
    path.write_text(json.dumps(record), encoding="utf-8")
    jobs, _ = read_measured_jobs([damaged_results])
    estimates = costs.estimate_costs(plan, jobs)
    assert estimates
    assert all(estimate.hours >= 0 for estimate in estimates)


def test_a_folder_of_records_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="--records nowhere: no such folder"):
        plan_command.main(["--configfile", str(SMOKE), "--records", "nowhere"])


def test_without_records_the_pilot_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    plan_command.main(["--configfile", str(SMOKE)])
    text = " ".join(capsys.readouterr().out.split())
    assert "first `make run CONFIG=config/pilot.yaml`" in text
    assert re.search(r"In all: (\d+) jobs: \1 not measured, \d+ GB", text)


def test_what_is_left_out_is_reported(results: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(results.parent)
    (results / RECORDS[0]).write_text("{")
    plan_command.main(["--configfile", str(SMOKE), "--records", "results"])
    assert (
        f"Records left out, damaged or of another version: 1, the first is results/{RECORDS[0]}"
        in capsys.readouterr().out
    )


def write(folder: Path, **contents: dict[str, object]) -> None:
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
