"""Every path that `Layout` spells out is one that a rule declares."""

from __future__ import annotations

import re

import pytest

from tests.checkout import REPOSITORY
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
CELL = CellKey(dataset="openmic", head="linear", scenario="frozen", fraction="1pct")
PATH, CELL_PATH = path_of(RUN), path_of(RUN, CELL).removeprefix(f"{path_of(RUN)}/")
#: values of path variables (rules/common.smk) and wildcards
VARIABLES = {
    "data": "data",
    "results": "results",
    "logs": "results/logs",
    "run": PATH,
    "run_trained_here": PATH,
    "run_imported": PATH,
    "cell_on_embeddings": CELL_PATH,
    "cell_with_encoder": CELL_PATH,
}
WILDCARDS = {"corpus": "songs", "dataset": "openmic", "sample_rate": "16000", "worker": "prosody", "stem": "drums"}

#: rule, place of the pattern in the rule, and the path it must give
PLACES = [
    ("acquire", "output", LAYOUT.acquired("openmic")),
    ("acquire", "log", LAYOUT.log("acquire", "openmic")),
    ("prepare", "output", LAYOUT.corpus("openmic", 16000)),
    ("prepare", "output", LAYOUT.corpus_record("openmic", 16000)),
    ("prepare", "log", LAYOUT.log("prepare", "openmic", 16000)),
    ("prepare_with_stems", "output", LAYOUT.stem("openmic", 16000, "drums")),
    ("extract", "input", LAYOUT.corpus("songs", 16000)),
    ("extract", "output", LAYOUT.features("songs", 16000, "prosody")),
    ("extract", "output", LAYOUT.features_record("songs", 16000, "prosody")),
    ("extract", "log", LAYOUT.log("extract", "songs", 16000, "prosody")),
    ("weigh", "output", LAYOUT.loss_weights(RUN)),
    ("weigh", "output", LAYOUT.loss_weights_record(RUN)),
    ("weigh", "log", LAYOUT.log("weigh", PATH)),
    ("pretrain", "output", LAYOUT.encoder(RUN)),
    ("pretrain", "output", LAYOUT.encoder_record(RUN)),
    ("pretrain", "log", LAYOUT.log("pretrain", PATH)),
    ("import_checkpoint", "output", LAYOUT.encoder(RUN)),
    ("import_checkpoint", "output", LAYOUT.encoder_record(RUN)),
    ("import_checkpoint", "log", LAYOUT.log("import_checkpoint", PATH)),
    ("evaluate_separation", "output", LAYOUT.separation(RUN)),
    ("evaluate_separation", "log", LAYOUT.log("evaluate_separation", PATH)),
    ("embed", "output", LAYOUT.embeddings(RUN, "openmic")),
    ("embed", "output", LAYOUT.embeddings_record(RUN, "openmic")),
    ("embed", "log", LAYOUT.log("embed", PATH, "openmic")),
    ("evaluate_embeddings", "output", LAYOUT.trials(RUN, CELL)),
    ("evaluate_embeddings", "output", LAYOUT.evaluation_record(RUN, CELL)),
    ("evaluate_embeddings", "log", LAYOUT.log("evaluate", path_of(RUN, CELL))),
    ("evaluate_encoder", "output", LAYOUT.trials(RUN, CELL)),
    ("evaluate_encoder", "output", LAYOUT.evaluation_record(RUN, CELL)),
    ("evaluate_encoder", "log", LAYOUT.log("evaluate", path_of(RUN, CELL))),
    ("audit", "output", LAYOUT.audit("openmic")),
]


def rules() -> dict[str, dict[str, str]]:
    """Text of each directive of each rule, by the names of both."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((REPOSITORY / "rules").glob("*.smk")))
    blocks = re.findall(r"^(?:rule (\w+)|use rule \w+ as (\w+) with):\n((?:    .*\n|\n)+)", text, re.MULTILINE)
    return {
        name or derived: dict(re.findall(r"^    (\w+):(.*\n(?:        .*\n|\n)*)", block, re.MULTILINE))
        for name, derived, block in blocks
    }


def paths(text: str) -> list[str]:
    """Every quoted pattern of a directive, with path variables and wildcards filled in."""
    patterns = [pattern.replace("{{", "{").replace("}}", "}") for pattern in re.findall(r'"(<.+?)"', text)]
    patterns = [re.sub(r"<(\w+)>", lambda name: VARIABLES.get(name[1], name[0]), pattern) for pattern in patterns]
    return [re.sub(r"{(\w+)}", lambda name: WILDCARDS.get(name[1], name[0]), pattern) for pattern in patterns]


RULES = rules()


@pytest.mark.parametrize(("rule", "directive", "path"), PLACES)
def test_a_rule_writes_where_the_layout_says(rule: str, directive: str, path: str) -> None:
    assert path in paths(RULES[rule][directive])


def test_every_record_and_first_output_of_a_heavy_rule_is_in_the_layout() -> None:
    known = {path for _, directive, path in PLACES if directive == "output"}
    for rule in {rule for rule, _, _ in PLACES}:
        outputs = paths(RULES[rule]["output"])
        first, records = outputs[0], [path for path in outputs if path.endswith(("record.json", "weigh.json"))]
        assert rule == "prepare_with_stems" or first in known, rule
        assert set(records) <= known, rule


def test_folders_are_taken_from_the_config_in_one_spelling() -> None:
    assert Layout.of_config({"data": "./data/", "results": "results//demo"}) == Layout(
        data="data", results="results/demo"
    )
