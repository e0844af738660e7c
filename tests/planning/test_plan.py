"""From studies to jobs."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.checkout import REPOSITORY
from workflow_scripts.configuration.jobs._base import LevelChoice
from workflow_scripts.configuration.load import load
from workflow_scripts.configuration.study import StudyConfig
from workflow_scripts.core.provenance import digest
from workflow_scripts.core.validation import validate
from workflow_scripts.levels import registry
from workflow_scripts.planning.build_manifest import build_manifest, figure_inputs
from workflow_scripts.planning.grids import expand
from workflow_scripts.planning.manifest import Training
from workflow_scripts.planning.plan import Plan
from workflow_scripts.planning.runs import CellKey, Run, path_of

WHOLE = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text(encoding="utf-8"))
#: what the numbers of jobs below are counted for
PAPER = {**WHOLE, "studies": [study for study in WHOLE["studies"] if study.startswith("wu2021")]}


@pytest.fixture
def plan() -> Plan:
    return plan_of(PAPER)


def plan_of(config: dict[str, Any]) -> Plan:
    return Plan(*load([], folder=REPOSITORY / "config", merged=config))


def build_plan(config: dict[str, Any], **studies: dict[str, Any]) -> Plan:
    """Plan of a config with these studies instead of its own."""
    checked, _ = load([], folder=REPOSITORY / "config", merged=config)
    return Plan(checked, {name: validate(StudyConfig, study) for name, study in studies.items()})


def fig2() -> dict[str, Any]:
    _, studies = load([], folder=REPOSITORY / "config", merged=PAPER)
    return studies["wu2021_fig2"].to_plain()


def vary(**sections: dict[str, Any]) -> dict[str, Any]:
    config = copy.deepcopy(PAPER)
    for name, values in sections.items():
        config[name].update(values)
    return config


def vary_protocol(**numbers: object) -> dict[str, Any]:
    return {"wu2021": PAPER["protocols"]["wu2021"] | numbers}


PRETRAINED = Run(
    corpus="audioset_music",
    encoder="pase",
    workers="WLPMCT",
    weighting="equal",
    augmentation="none",
    recipe="wu2021",
    pretrain_seed=0,
)


def cell(scenario: str) -> CellKey:
    return CellKey(dataset="openmic", head="linear", scenario=scenario, fraction="100pct", protocol="wu2021")


def of_study(plan: Plan, name: str) -> list[tuple[Run, CellKey]]:
    return [pair for pair, studies in plan.cells.items() if name in studies]


def test_fig2_needs_two_encoders_in_three_scenarios_and_three_floors_on_three_sets(plan: Plan) -> None:
    assert len(of_study(plan, "wu2021_fig2")) == 3 * (2 * 3 + 3)
    assert {run for run, _ in of_study(plan, "wu2021_fig2")} == {
        PRETRAINED,
        replace(PRETRAINED, encoder="pase_plus"),
        *(Run.untrained(name) for name in ("pase", "pase_plus", "random", "random_plus", "handcrafted")),
    }


def test_all_of_wu_et_al_takes_seventeen_runs(plan: Plan) -> None:
    """Eight worker sets, equal and re-weighted, with PASE+; PASE once, for Fig. 2."""
    assert len(plan.pretrained_runs) == 8 * 2 + 1
    assert sum(plan.levels.weights_source(run) is not None for run in plan.pretrained_runs) == 8


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in (REPOSITORY / "config").glob("*.yaml") if path.stem != "config")
)
def test_every_config_that_ships_can_be_planned_and_pre_trains_by_its_own_recipes(name: str) -> None:
    files = [REPOSITORY / "config" / f"{file}.yaml" for file in ("config", name)]
    config, studies = load(files, folder=REPOSITORY / "config")
    plan = Plan(config, studies)
    assert {study for studies in plan.cells.values() for study in studies} == set(config.studies)
    own = yaml.safe_load(files[-1].read_text(encoding="utf-8")).get("recipes", {})
    assert {run.recipe for run in plan.pretrained_runs} <= set(own)  # none at the length of the paper's


def test_the_thesis_on_clmr_takes_thirty_eight_runs() -> None:
    plan = plan_of({**WHOLE, "studies": [study for study in WHOLE["studies"] if study.startswith("spijkervet2021")]})
    contrastive = [run for run in plan.pretrained_runs if run.workers.startswith("contrastive")]
    chain = [run for run in contrastive if run.augmentation == "clmr_thesis"]
    transfer = [run for run in contrastive if run.augmentation == "clmr_billboard"]
    single = [run for run in contrastive if run.augmentation not in ("clmr_thesis", "clmr_billboard", "crop")]
    assert {run.recipe for run in chain if run.corpus == "magnatagatune"} == {
        "clmr_48",
        "clmr_96",
        "clmr_456",
        "clmr_96_1000",
        "clmr_96_10000",
    }
    assert len(chain) == 5 + 2 + 1, "on MagnaTagATune, also with two other projectors, and the Million Song Dataset"
    assert [run.corpus for run in transfer] == ["fma_medium", "billboard", "gtzan_unlabelled"]
    assert len(single) == 7 + 2 * 5, "each always, five of them with two other probabilities"
    others = len(contrastive) - len(chain) - len(transfer) - len(single)
    assert others == 4 + 2, "four rates at one temperature, one at two others"
    assert [run.corpus for run in plan.pretrained_runs if run not in contrastive] == [
        "magnatagatune",
        "fma_medium",
        "billboard",
        "gtzan_unlabelled",
    ]


def test_paths_read_as_the_experiment() -> None:
    assert path_of(PRETRAINED) == "audioset_music/pase/WLPMCT/equal/none/wu2021/seed0"
    assert path_of(Run.untrained("random"), cell("frozen")) == (
        "none/random/none/none/none/none/seed0/openmic/linear/frozen/100pct/wu2021"
    )


def test_studies_share_jobs() -> None:
    study = fig2()
    plan = build_plan(PAPER, one=study, two=study)
    assert all(names == ["one", "two"] for names in plan.cells.values())
    assert len(plan.cells) == len(set(expand(plan.studies["one"], {})))


def test_named_grids_are_run_as_one_study() -> None:
    both = fig2() | {
        "grids": {"old": {"encoder": ["pase"], "workers": ["WLP"]}, "new": {"encoder": ["pase_plus"]}},
        "floors": ["random"],
    }
    pairs = list(build_plan(PAPER, one=both).cells)
    assert {(run.encoder, run.workers) for run, _ in pairs} == {
        ("pase", "WLP"),
        ("pase_plus", "WLPMCT"),
        ("pase", "none"),
        ("pase_plus", "none"),
        ("random", "none"),
    }
    assert len(pairs) == 3 * (2 * 3 + 1)


def test_an_entry_of_a_name_of_its_own_runs_the_file_it_names() -> None:
    gain = {"quiet": {"level": "gain", "probability": 1.0}, "gain": {"probability": 1.0}}
    small = {"small": {"level": "linear"}}
    plan = plan_of(vary(augmentations=gain, heads=small))
    quiet, same = replace(PRETRAINED, augmentation="quiet"), replace(PRETRAINED, augmentation="gain")
    assert json.loads(plan.jobs.pretrain(quiet).config)["augmentation"] == {
        "name": "gain",
        "options": {"probability": 1.0},
    }
    assert plan.jobs.pretrain(quiet) == plan.jobs.pretrain(same), "the name is no option"
    assert path_of(quiet) != path_of(same)
    evaluated = json.loads(plan.jobs.evaluate(PRETRAINED, replace(cell("frozen"), head="small")).config)
    assert evaluated["head"]["name"] == "linear"
    assert evaluated["factors"]["head"] == "small"


def test_a_worker_set_may_hold_an_entry_of_a_name_of_its_own() -> None:
    cold = {"cold": {"level": "contrastive", "temperature": 0.1}}
    plan = plan_of(vary(workers=cold, worker_sets={"contrastive_cold": ["cold"]}))
    run = replace(PRETRAINED, encoder="pase", workers="contrastive_cold")
    assert json.loads(plan.jobs.pretrain(run).config)["workers"] == {"contrastive": {"temperature": 0.1}}


def test_a_job_reads_only_what_concerns_it(plan: Plan) -> None:
    frozen = json.loads(plan.jobs.evaluate(PRETRAINED, cell("frozen")).config)
    assert frozen["encoder"] is None, "a frozen cell reads embeddings, not the encoder"
    assert frozen["factors"]["corpus"] == "audioset_music"
    assert json.loads(plan.jobs.evaluate(PRETRAINED, cell("fine_tuned")).config)["encoder"]["name"] == "pase"
    assert "recipe" not in json.loads(plan.jobs.embed(PRETRAINED, "openmic").config)


def test_numbers_of_a_scenario_replace_the_common_ones() -> None:
    plan = plan_of(vary(protocols=vary_protocol(scenarios={"fine_tuned": {"trials": 3, "max_epochs": 5}})))
    frozen = json.loads(plan.jobs.evaluate(PRETRAINED, cell("frozen")).config)
    tuned = json.loads(plan.jobs.evaluate(PRETRAINED, cell("fine_tuned")).config)
    assert (frozen["trials"], frozen["training"]["max_epochs"]) == (10, 200)
    assert (tuned["trials"], tuned["training"]["max_epochs"]) == (3, 5)


def test_a_recipe_number_changes_what_descends_from_it_and_nothing_else(plan: Plan) -> None:
    after = plan_of(vary(recipes={"wu2021": {**PAPER["recipes"]["wu2021"], "batch": 16}}))
    for scenario, differs in {"frozen": True, "fine_tuned": True, "supervised": False}.items():
        run = PRETRAINED if scenario != "supervised" else Run.untrained("pase")
        same = plan.jobs.evaluate(run, cell(scenario)) == after.jobs.evaluate(run, cell(scenario))
        assert same is not differs, scenario
    assert plan.jobs.prepare("openmic", 16000) == after.jobs.prepare("openmic", 16000)
    assert plan.jobs.pretrain(PRETRAINED).config != after.jobs.pretrain(PRETRAINED).config


def test_only_prosody_is_stored(plan: Plan) -> None:
    assert plan.levels.precomputed_workers(PRETRAINED) == ["prosody"]
    assert plan.levels.precomputed_workers(Run.untrained("pase")) == []


def test_the_summary_names_every_expected_result_with_its_digests(plan: Plan) -> None:
    summary = build_manifest(plan).to_json()
    entry = summary["cells"][0]
    assert Path(entry["path"]).parts[:2] == ("results", "evaluations")
    assert entry["studies"] == ["wu2021_fig2"]
    assert len({(entry["code"], entry["config"]) for entry in summary["cells"]}) == len(summary["cells"])


def test_the_manifest_has_the_learning_rates_and_the_limit_of_epochs_of_each_cell(plan: Plan) -> None:
    assert {cell.training for cell in build_manifest(plan).cells} == {Training(learning_rates=(0.001,), max_epochs=200)}
    phases = [{"optimiser": "adam", "learning_rate": rate, "max_epochs": most} for rate, most in ((0.1, 5), (0.01, 2))]
    changes = {"max_epochs": 40, "scenarios": {"fine_tuned": {"phases": phases}}}
    changed = plan_of(vary(protocols=vary_protocol(**changes)))
    by_scenario = {cell.factors["scenario"]: cell.training for cell in build_manifest(changed).cells}
    assert by_scenario["frozen"] == Training(learning_rates=(0.001,), max_epochs=40)
    assert by_scenario["fine_tuned"] == Training(learning_rates=(0.1, 0.01), max_epochs=7)


def test_the_manifest_has_the_learning_rates_that_each_trial_tries() -> None:
    tuned = build_manifest(plan_of(vary(protocols=vary_protocol(learning_rates=[0.01, 0.1]))))
    assert {cell.training for cell in tuned.cells} == {
        Training(learning_rates=(0.01, 0.1), max_epochs=200, n_learning_rates=2)
    }


def test_the_rate_of_an_encoder_is_read_where_a_pre_trained_one_learns() -> None:
    plan = plan_of(vary(protocols=vary_protocol(encoder_learning_rate=0.01)))
    runs = {"frozen": PRETRAINED, "fine_tuned": PRETRAINED, "supervised": Run.untrained("pase")}
    read = {name: json.loads(plan.jobs.evaluate(run, cell(name)).config)["training"] for name, run in runs.items()}
    assert [name for name in runs if "encoder_learning_rate" in read[name]] == ["fine_tuned"]
    assert [name for name in runs if "classifiers" in read[name]] == ["frozen"]


def test_a_protocol_is_part_of_a_cell_and_of_its_path() -> None:
    study = fig2() | {"rows": ["encoder", "scenario", "protocol"]}
    study["grid"] = study["grid"] | {"protocol": ["wu2021", "common"]}
    cells = build_plan(PAPER, both=study).cells
    assert {cell.protocol for _, cell in cells} == {"wu2021", "common"}
    assert len({path_of(*pair) for pair in cells}) == len(cells)
    assert {path_of(*pair).rpartition("/")[2] for pair in cells} == {"wu2021", "common"}


def test_each_result_names_the_jobs_it_needs_in_order_with_their_files(plan: Plan) -> None:
    summary = build_manifest(plan).to_json()
    chains = {
        (entry["factors"]["encoder"], entry["factors"]["scenario"], entry["factors"]["weighting"]): [
            summary["jobs"][place] for place in entry["jobs"]
        ]
        for entry in summary["cells"]
        if entry["factors"]["dataset"] == "openmic"
    }
    stages = {key: [stage for stage, *_ in chain] for key, chain in chains.items()}
    trained = ["acquire", "prepare", "acquire", "prepare", "extract", "pretrain"]
    assert stages["pase", "frozen", "equal"] == [*trained, "embed", "evaluate"]
    assert stages["pase", "fine_tuned", "equal"] == [*trained, "evaluate"]
    assert stages["pase", "supervised", "none"] == ["acquire", "prepare", "evaluate"]
    assert stages["handcrafted", "frozen", "none"] == ["acquire", "prepare", "embed", "evaluate"]
    assert stages["pase_plus", "frozen", "reweighted"] == [*trained[:-1], "weigh", "pretrain", "embed", "evaluate"]
    entry = summary["cells"][0]
    _, output, record, log, *digests = summary["jobs"][entry["jobs"][-1]]
    assert digests == [entry["code"], entry["config"]]
    assert output == entry["path"]
    assert record == str(Path(entry["path"]).with_name("record.json"))
    assert log.startswith("results/logs/evaluate/")


def test_data_are_decided_by_twin_code_and_checksums_not_by_the_downloader(plan: Plan) -> None:
    twin = plan_of(
        vary(datasets={"openmic": {"loader": "openmic", "source": "twin", "twin": {"clips": 9, "clip_seconds": 1}}})
    )
    larger = plan_of(
        vary(datasets={"openmic": {"loader": "openmic", "source": "twin", "twin": {"clips": 8, "clip_seconds": 1}}})
    )
    jobs = [variant.jobs.acquire("openmic") for variant in (plan, twin, larger)]
    assert len({(job.code, job.config) for job in jobs}) == len(jobs)
    files = registry.load("dataset", "openmic").REMOTES
    assert jobs[0].code == digest({name: remote.identity for name, remote in files.items()})
    assert len({plan_.jobs.prepare("openmic", 16000).code for plan_ in (plan, twin, larger)}) == len(jobs)


REWEIGHTED = replace(PRETRAINED, encoder="pase_plus", weighting="reweighted")
EQUAL = replace(REWEIGHTED, weighting="equal")


def test_a_reweighted_run_descends_from_the_equal_one(plan: Plan) -> None:
    assert plan.levels.weights_source(REWEIGHTED) == EQUAL
    assert plan.levels.weights_source(EQUAL) is None
    assert plan.levels.weights_source(Run.untrained("random")) is None
    reads = json.loads(plan.jobs.weigh(REWEIGHTED).config)
    assert reads["run"] == json.loads(plan.jobs.pretrain(EQUAL).config)
    assert reads["code"] == plan.jobs.pretrain(EQUAL).code


def test_a_variant_of_a_weighting_is_an_entry_of_the_config() -> None:
    plan = plan_of(vary(weightings={"first_five": {"level": "reweighted", "epochs": 5}}))
    run = replace(REWEIGHTED, weighting="first_five")
    assert plan.levels.weights_source(run) == EQUAL
    assert json.loads(plan.jobs.weigh(run).config)["weighting"] == {"name": "reweighted", "options": {"epochs": 5}}


def test_how_weights_are_made_concerns_reweighted_runs_alone(plan: Plan) -> None:
    after = plan_of(vary(weightings={"reweighted": {"epochs": 5}}))
    assert plan.jobs.pretrain(EQUAL) == after.jobs.pretrain(EQUAL)
    assert plan.jobs.pretrain(REWEIGHTED) != after.jobs.pretrain(REWEIGHTED)
    assert plan.jobs.weigh(REWEIGHTED) != after.jobs.weigh(REWEIGHTED)


def test_a_change_of_the_equal_run_reaches_the_reweighted_one(plan: Plan) -> None:
    after = plan_of(vary(workers={"lps": {"hidden": 99}}))
    assert plan.jobs.pretrain(REWEIGHTED).code != after.jobs.pretrain(REWEIGHTED).code


CHECKPOINT = {"encoder": "pase_plus", "path": "official.ckpt", "options": {"embedding": 256}}


def study_with_checkpoint() -> dict[str, Any]:
    return fig2() | {"checkpoints": ["official"], "rows": ["corpus", "encoder", "scenario"]}


def test_an_imported_checkpoint_serves_the_scenarios_that_start_from_one() -> None:
    config = PAPER | {"checkpoints": {"official": CHECKPOINT}}
    plan = build_plan(config, mine=study_with_checkpoint())
    run = Run.of_checkpoint("official", encoder="pase_plus")
    assert plan.imported_runs == [run]
    assert run not in plan.pretrained_runs
    assert path_of(run) == "official/pase_plus/none/none/none/none/seed0"
    scenarios = {cell.scenario for other, cell in plan.cells if other == run}
    assert scenarios == {"frozen", "fine_tuned"}
    for job in (
        plan.jobs.import_checkpoint(run),
        plan.jobs.embed(run, "openmic"),
        plan.jobs.evaluate(run, cell("fine_tuned")),
    ):
        assert json.loads(job.config)["encoder"]["options"] == {"embedding": 256}
    assert "official" not in {dataset for dataset, _ in plan.corpora}


@pytest.mark.parametrize(
    ("encoder", "options"),
    [("samplecnn_8000", {"sample_rate": 8000}), ("unet_multiple", {"sources": 4, "pooling": "average"})],
)
def test_a_checkpoint_of_a_variant_has_the_options_of_the_variant_alone(encoder: str, options: dict[str, Any]) -> None:
    entry = PAPER["encoders"][encoder] | {"width": 0.5}
    checkpoints = {"official": {"encoder": encoder, "path": "official.ckpt"}}
    plan = plan_of(vary(encoders={encoder: entry}) | {"checkpoints": checkpoints})
    level = {"samplecnn_8000": "samplecnn", "unet_multiple": "unet"}[encoder]
    run = Run.of_checkpoint("official", encoder=encoder)
    assert plan.levels.encoder(run) == LevelChoice(name=level, options=options)
    assert plan.levels.encoder(Run.untrained(encoder)) == LevelChoice(name=level, options=options | {"width": 0.5})


def test_another_file_under_the_same_name_changes_what_descends_from_it(tmp_path: Path) -> None:
    run = Run.of_checkpoint("official", encoder="pase_plus")
    codes = set()
    for name in ("one", "other"):
        (tmp_path / name).write_text(name, encoding="utf-8")
        entry = CHECKPOINT | {"path": str(tmp_path / name)}
        codes.add(
            build_plan(PAPER | {"checkpoints": {"official": entry}}, mine=study_with_checkpoint())
            .jobs.embed(run, "openmic")
            .code
        )
    assert len(codes) == 2


def test_another_file_that_a_head_starts_from_makes_its_cells_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    digests = []
    for name, content in (("first", "one"), ("copy", "one"), ("other", "two")):
        (tmp_path / name).write_text(content, encoding="utf-8")
        plan = build_plan(vary(heads={"ast": {"checkpoint": f"~/{name}"}}))
        job = plan.jobs.evaluate(EQUAL, replace(cell("fine_tuned"), head="ast"))
        digests.append(json.loads(job.config)["head_file_digest"])
    assert None not in digests
    assert digests[0] == digests[1] != digests[2]


def test_a_changed_checkpoint_entry_changes_what_descends_from_it() -> None:
    run = Run.of_checkpoint("official", encoder="pase_plus")
    plans = [
        build_plan(PAPER | {"checkpoints": {"official": entry}}, mine=study_with_checkpoint())
        for entry in (CHECKPOINT, CHECKPOINT | {"options": {"embedding": 100}})
    ]
    assert plans[0].jobs.embed(run, "openmic").code != plans[1].jobs.embed(run, "openmic").code
    assert plans[0].jobs.embed(EQUAL, "openmic") == plans[1].jobs.embed(EQUAL, "openmic")


def test_a_study_lists_its_cells_in_its_own_order(plan: Plan) -> None:
    summary = build_manifest(plan).to_json()
    listed = [summary["cells"][place] for place in summary["studies"]["wu2021_fig3"]["cells"]]
    workers = list(
        dict.fromkeys(entry["factors"]["workers"] for entry in listed if entry["factors"]["corpus"] != "none")
    )
    assert workers == ["WLP", "WLPM", "WLPC", "WLPT", "WLPMC", "WLPMT", "WLPCT", "WLPMCT"], "Fig. 2 has WLPMCT first"
    assert all("wu2021_fig3" in entry["studies"] for entry in listed)


def test_the_strictest_study_of_a_data_set_decides_on_broken_clips(plan: Plan) -> None:
    assert plan.largest_shares == {}
    studies = {name: {**study.to_plain(), "quarantine": {"largest_share": 0.2}} for name, study in plan.studies.items()}
    tolerant = build_plan(PAPER, **studies)
    assert tolerant.largest_shares == dict.fromkeys(
        ("audioset_music", "extended_ballroom", "fma_small", "openmic"), 0.2
    )
    strict = copy.deepcopy(studies)
    strict["wu2021_fig4"] = {**strict["wu2021_fig2"], "quarantine": {"largest_share": 0.05}}
    strict["wu2021_fig4"]["grid"] = {
        **strict["wu2021_fig2"]["grid"],
        "dataset": ["openmic"],
        "scenario": ["supervised"],
    }
    strict["wu2021_fig4"]["floors"] = []
    assert build_plan(PAPER, **strict).largest_shares == {**tolerant.largest_shares, "openmic": 0.05}
    for run, cell in plan.cells:
        assert tolerant.jobs.evaluate(run, cell) == plan.jobs.evaluate(run, cell)


def test_a_random_floor_is_reported_as_one_draw_of_weights() -> None:
    def notes(floors: list[str]) -> str:
        config = {**PAPER, "trim": {"wu2021_fig2": {"floors": floors, "comparisons": []}}, "note": "Own words."}
        return str(
            build_manifest(plan_of(config | {"studies": ["wu2021_fig2"]})).to_json()["studies"]["wu2021_fig2"]["notes"]
        )

    assert "Random weights are one draw" in notes(["random", "handcrafted"])
    assert notes(["random"]).endswith("Own words.")
    assert "Random weights" not in notes(["handcrafted"])


def test_figures_that_look_at_more_than_statistics_name_it() -> None:
    study = "spijkervet2021_fig6_1"
    drawn = figure_inputs(build_manifest(plan_of({**WHOLE, "studies": [study]})))
    results = WHOLE["results"]
    assert f"{results}/corpora/magnatagatune/22050/corpus.json" in drawn
    embedded = [path for path in drawn if path.startswith(f"{results}/embeddings/")]
    assert len(embedded) == 3, "CLMR, CPC and the floor"
    assert all(path.endswith("/magnatagatune.npy") for path in embedded)
    assert figure_inputs(build_manifest(plan_of({**WHOLE, "studies": ["wu2021_fig2"]}))) == []


SEPARATING = Run(
    corpus="musdb18",
    encoder="unet",
    workers="drums",
    weighting="equal",
    augmentation="none",
    recipe="separation_drums",
    pretrain_seed=0,
)


def separating(**sections: dict[str, Any]) -> Plan:
    return plan_of({**vary(**sections), "studies": ["separation_schemes"]})


def test_runs_that_separate_are_evaluated_on_unseen_songs(plan: Plan) -> None:
    schemes = separating()
    bass = replace(SEPARATING, workers="bass", recipe="separation_bass")
    assert schemes.separation_runs == [SEPARATING, bass]
    job = schemes.jobs.evaluate_separation(SEPARATING)
    assert json.loads(job.config) == {
        "encoder": {"name": "unet", "options": {}},
        "worker": {"name": "separation", "options": {"source": "drums"}},
        "split": "test",
    }
    assert ["evaluate_separation", f"results/pretrained/{path_of(SEPARATING)}/separation.json"] in [
        list(record) for record in build_manifest(schemes).to_json()["records"]
    ]
    assert plan.separation_runs == []
    kept = {
        run["factors"]["workers"]: run["separation_code"]
        for run in build_manifest(schemes).to_json()["pretrained_runs"]
    }
    assert kept == {run.workers: schemes.jobs.evaluate_separation(run).code for run in (SEPARATING, bass)}
    assert {run["separation_code"] for run in build_manifest(plan).to_json()["pretrained_runs"]} == {""}


def test_what_was_trained_otherwise_is_judged_anew_and_other_heads_change_nothing() -> None:
    before = separating().jobs.evaluate_separation(SEPARATING)
    recipe = {**PAPER["recipes"]["separation_drums"], "batch": 16}
    assert separating(recipes={"separation_drums": recipe}).jobs.evaluate_separation(SEPARATING).code != before.code
    assert separating(heads={"short_chunk_cnn": {"width": 0.5}}).jobs.evaluate_separation(SEPARATING) == before


def test_stems_are_known_before_anything_is_decoded() -> None:
    assert separating().levels.stems == {"musdb18": ("vocals", "drums", "bass", "other")}
