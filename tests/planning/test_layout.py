"""Outputs and logs of all rules, held against `Layout`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkout import REPOSITORY
from workflow_scripts.configuration.config import Config
from workflow_scripts.core import result_files
from workflow_scripts.planning import layout
from workflow_scripts.planning.layout import Layout
from workflow_scripts.planning.runs import CellKey, Run, path_of

LAYOUT = Layout(data="data", results="results")
RUN = Run(
    corpus="songs",
    encoder="pase",
    workers="WLP",
    weighting="equal",
    augmentation="none",
    recipe="short",
    pretrain_seed=3,
)
IMPORTED = Run.of_checkpoint("songs", encoder="pase")
CELL = CellKey(dataset="openmic", head="linear", scenario="frozen", fraction="1pct", protocol="wu2021")
WILDCARDS = {
    **{name: str(level) for name, level in vars(RUN).items()},
    **{name: str(level) for name, level in vars(CELL).items()},
    "sample_rate": "16000",
    "worker": "prosody",
    "group": "2",
    "study": "garoufis2024_tags",
    "package": "musicnn-0.1.0",
    "model": "deit_tiny",
}
CELL_LISTS = LAYOUT.cell_lists(RUN, "openmic", 2)
WILDCARD = re.compile(r"{(\w+)(,[^{}]*)?}")
STUDIES, STEMS = ["garoufis2024_tags"], ("vocals", "drums", "bass", "other")
CONFIG = {"studies": STUDIES}

#: prints outputs and log of every rule; a process of its own, since the Snakefile patches modules
SCRIPT = """
import json, sys
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings

with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
    rules = api.workflow(
        resource_settings=ResourceSettings(overwrite_resources={"evaluate_embeddings": {"mem_mb": 12345}}),
        config_settings=ConfigSettings(config=json.loads(sys.argv[1])),
        snakefile=Path("Snakefile"),
    )._workflow.rules
    files = {rule.name: [list(map(str, rule.output)), list(map(str, rule.log))] for rule in rules}
    inputs = {rule.name: list(map(str, rule.input)) for rule in rules if rule.name in ("acquire_all", "pretrain_all")}
    marks = {
        str(output): [mark.category, mark.htmlindex, Path(mark.caption.get_path_or_uri(secret_free=True)).is_file()]
        for rule in rules for output in rule.output if (mark := output.flags.get("report"))
    }
    memory = [rule.name for rule in rules if "mem_mb" in rule.resources and rule.resources["mem_mb"].value == 12345]
    print(json.dumps([files, inputs, marks, memory]))
"""


def corpus_files(dataset: str) -> list[str]:
    folder = LAYOUT.corpus_folder(dataset, 16000)
    files = [LAYOUT.corpus(dataset, 16000), LAYOUT.corpus_record(dataset, 16000)]
    names = result_files.audio_file(), result_files.CLIPS, result_files.LABELS, result_files.QUARANTINE
    return [*files, *(f"{folder}/{name}" for name in names)]


def cell_files() -> list[str]:
    predictions = f"{LAYOUT.evaluation(RUN, CELL)}/{result_files.PREDICTIONS}"
    return [LAYOUT.trials(RUN, CELL), predictions, LAYOUT.evaluation_record(RUN, CELL)]


def tables() -> list[str]:
    names = [f"{name}.{ending}" for name in (*STUDIES, "reproduction") for ending in layout.TABLE_FORMATS]
    names += [f"{STUDIES[0]}_comparisons.csv", "separation.csv", "index.md", "latex"]
    return [f"{LAYOUT.tables}/{name}" for name in names]


#: rule -> the outputs and the log that it must declare
EXPECTED = {
    "acquire": ([LAYOUT.acquisition_record("openmic")], LAYOUT.log("acquire", "openmic")),
    "prepare": (corpus_files("openmic"), LAYOUT.log("prepare", "openmic", 16000)),
    "prepare_with_stems": (
        [*corpus_files("openmic"), *(LAYOUT.stem("openmic", 16000, stem) for stem in STEMS)],
        LAYOUT.log("prepare", "openmic", 16000),
    ),
    "extract": (
        [LAYOUT.features("songs", 16000, "prosody"), LAYOUT.features_record("songs", 16000, "prosody")],
        LAYOUT.log("extract", "songs", 16000, "prosody"),
    ),
    "weigh": ([LAYOUT.loss_weights(RUN), LAYOUT.loss_weights_record(RUN)], LAYOUT.log("weigh", path_of(RUN))),
    "pretrain": (
        [LAYOUT.encoder(RUN), LAYOUT.encoder_record(RUN), f"{LAYOUT.run_folder(RUN)}/{result_files.LOSSES}"],
        LAYOUT.log("pretrain", path_of(RUN)),
    ),
    "evaluate_separation": ([LAYOUT.separation(RUN)], LAYOUT.log("evaluate_separation", path_of(RUN))),
    "fetch_package": ([LAYOUT.package("musicnn-0.1.0")], LAYOUT.log("fetch_package", "musicnn-0.1.0")),
    "fetch_weights": ([LAYOUT.fetched_weights("deit_tiny")], LAYOUT.log("fetch_weights", "deit_tiny")),
    "import_checkpoint": (
        [LAYOUT.encoder(IMPORTED), LAYOUT.encoder_record(IMPORTED)],
        LAYOUT.log("import_checkpoint", path_of(IMPORTED)),
    ),
    "embed": (
        [LAYOUT.embeddings(RUN, "openmic"), LAYOUT.embeddings_record(RUN, "openmic")],
        LAYOUT.log("embed", path_of(RUN), "openmic"),
    ),
    "evaluate_embeddings": ([CELL_LISTS[0]], LAYOUT.log("evaluate_embeddings", path_of(RUN), "openmic", 2)),
    "evaluate_embeddings_again": ([CELL_LISTS[1]], LAYOUT.log("evaluate_embeddings", path_of(RUN), "openmic", 2)),
    "evaluate_cell": (cell_files(), LAYOUT.log("evaluate", path_of(RUN, CELL))),
    "evaluate_encoder": (cell_files(), LAYOUT.log("evaluate", path_of(RUN, CELL))),
    "visualise_filters": (
        [LAYOUT.spectra(RUN, CELL), LAYOUT.spectra_record(RUN, CELL)],
        LAYOUT.log("visualise_filters", path_of(RUN, CELL)),
    ),
    "write_listening_page": (
        [LAYOUT.listening_page(STUDIES[0]), LAYOUT.listening_record(STUDIES[0])],
        LAYOUT.log("write_listening_page", STUDIES[0]),
    ),
    "audit": ([LAYOUT.audit("openmic"), LAYOUT.overlaps("openmic")], LAYOUT.log("audit", "openmic")),
    "require_clean": ([LAYOUT.clean_audit("openmic")], LAYOUT.log("require_clean", "openmic")),
    "plan": ([LAYOUT.manifest("DIGEST")], LAYOUT.log("plan")),
    "aggregate": (
        [f"{LAYOUT.statistics}/{file}" for file in layout.STATISTICS_FILES.values()],
        LAYOUT.log("aggregate"),
    ),
    "tabulate": (tables(), LAYOUT.log("tabulate")),
    "draw": (
        [f"{LAYOUT.figures}/{name}.{ending}" for name in STUDIES for ending in layout.FIGURE_FORMATS],
        LAYOUT.log("draw"),
    ),
    "compose": ([LAYOUT.report, str(Path(LAYOUT.report).parent)], LAYOUT.log("compose")),
}


@pytest.fixture(scope="module")
def workflow() -> tuple[dict[str, tuple[list[str], list[str]]], dict[str, list[str]], dict[str, list], list[str]]:
    """Outputs and logs of all rules, the inputs of targets, and marks of outputs for Snakemake's own report.

    The last are the rules with the memory that was stated for frozen evaluations.
    """
    command = [sys.executable, "-c", SCRIPT, json.dumps(CONFIG)]
    return tuple(json.loads(subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True).stdout))


@pytest.fixture(scope="module")
def rules(workflow) -> dict[str, tuple[list[str], list[str]]]:
    """Outputs and logs of all rules that have outputs, with wildcards filled in."""
    return {name: (fill(outputs), fill(logs)) for name, (outputs, logs) in workflow[0].items() if outputs}


def fill(patterns: list[str]) -> list[str]:
    paths = [WILDCARD.sub(lambda match: WILDCARDS[match[1]], pattern) for pattern in patterns]
    return [re.sub(r"plans/\w{16}\.json", "plans/DIGEST.json", path) for path in paths]


def test_every_rule_with_outputs_is_held(rules: dict[str, tuple[list[str], list[str]]]) -> None:
    assert {*rules} == {*EXPECTED}


@pytest.mark.parametrize("rule", EXPECTED)
def test_a_rule_writes_where_the_layout_states(rule: str, rules: dict[str, tuple[list[str], list[str]]]) -> None:
    outputs, log = EXPECTED[rule]
    assert sorted(rules[rule][0]) == sorted(outputs)
    assert rules[rule][1] == [log]


def test_every_wildcard_of_an_output_matches_one_segment_of_its_path(workflow) -> None:
    for rule, (outputs, _) in workflow[0].items():
        for name, constraint in (wildcard for output in outputs for wildcard in WILDCARD.findall(output)):
            assert constraint, f"{rule}: {name} matches slashes"
            assert not re.fullmatch(constraint[1:], "one/two"), f"{rule}: {name}"


def test_the_first_output_of_a_rule_is_that_of_its_planned_job(rules: dict[str, tuple[list[str], list[str]]]) -> None:
    for rule, (outputs, _) in EXPECTED.items():
        assert rule in ("tabulate", "draw") or rules[rule][0][0] == outputs[0], rule


def test_rules_of_the_same_work_take_the_resources_of_the_first(workflow) -> None:
    assert set(workflow[3]) == {"evaluate_embeddings", "evaluate_embeddings_again", "evaluate_cell"}


def test_one_target_fetches_all_that_needs_the_network_and_no_twin_or_copy(workflow) -> None:
    downloaded = ("musdb18", "magnatagatune_filtered")
    assert workflow[1]["acquire_all"] == [LAYOUT.acquisition_record(name) for name in sorted(downloaded)]


def test_one_target_is_all_encoders_that_are_trained_and_no_untrained_or_imported_one(workflow) -> None:
    encoders = workflow[1]["pretrain_all"]
    assert len(encoders) == len(set(encoders)) > 0
    corpora = {Path(file).relative_to("results/pretrained").parts[0] for file in encoders}
    assert corpora == {"musdb18"}, "the study trains U-Nets on MUSDB18, beside untrained ones"


def test_the_report_of_snakemake_has_all_pages_tables_comparisons_and_figures_with_captions(workflow) -> None:
    marks = workflow[2]
    study = STUDIES[0]
    assert marks.pop(str(Path(LAYOUT.report).parent)) == ["Report", "index.html", True], "with all that lies below it"
    tables = {f"{LAYOUT.tables}/{name}.{ending}" for name in (study, "reproduction") for ending in ("html", "csv")}
    expected = dict.fromkeys(tables, "Tables") | {f"{LAYOUT.tables}/{study}_comparisons.csv": "Comparisons"}
    expected |= {f"{LAYOUT.figures}/{study}.{ending}": "Figures" for ending in ("svg", "csv")}
    assert marks == {path: [category, None, True] for path, category in expected.items()}


def test_folders_are_taken_from_the_config_in_one_spelling() -> None:
    config = Config.model_construct(data="./data/", results="results//demo")
    assert Layout.of_config(config) == Layout(data="data", results="results/demo")
