from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from tests.corpora import write_corpus
from tests.report.aggregated_study import build_table
from tests.synthetic_results import Results, factors
from workflow_scripts.report.class_notes import describe_classes
from workflow_scripts.report.renderers import terminal

Counts = tuple[int, int, int]  # training clips, test clips, observed test clips


def notes(task: str, classes: dict[str, Counts], metrics: set[str]) -> list[str]:
    rows = [
        {
            **{"dataset": "styles", "class": name, "task": task, "valid_clips": 3},
            **{"train_clips": train, "test_clips": test, "observed_test_clips": observed},
        }
        for name, (train, test, observed) in classes.items()
    ]
    return list(describe_classes(pd.DataFrame(rows), metrics))


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (dict.fromkeys(("Jazz", "Folk", "Metal"), (40, 20, 60)), []),
        (
            dict.fromkeys("abcdefgh", (3, 1, 8)),
            ["styles: 8 test clips for 8 classes: 1 each; single clips decide how well a class does."],
        ),
        (
            {"Jazz": (4, 2, 5), "Folk": (4, 3, 5)},
            ["styles: 5 test clips for 2 classes: 2 to 3 each; single clips decide how well a class does."],
        ),
        (
            {"Jazz": (1, 0, 40), "Folk": (9, 20, 40), "Metal": (9, 20, 40)},
            ["styles: no test clip of Jazz: macro F1 counts it as 0, so that it is at most 66.7 %."],
        ),
        (
            {"Jazz": (0, 6, 9), "Folk": (0, 3, 9), "Metal": (9, 0, 9), "Pop": (9, 0, 9)},
            [
                "styles: no training clip of Jazz and Folk, so that they cannot be learnt.",
                "styles: no test clip of Metal and Pop: macro F1 counts them as 0, so that it is at most 50.0 %.",
                "styles: fewer than 5 test clips of Folk (3); single clips decide how well a class does.",
            ],
        ),
        (
            {"Jazz": (9, 7, 7), "Folk": (9, 0, 7)},
            [
                "styles: no test clip of Folk: macro F1 counts it as 0, so that it is at most 50.0 %.",
                "styles: Jazz is true for every test clip.",
            ],
        ),
    ],
)
def test_classes_with_few_or_no_clips_are_noted(classes: dict[str, Counts], expected: list[str]) -> None:
    assert notes("multiclass", classes, {"macro_f1"}) == expected


def test_tags_that_tell_nothing_apart_are_noted_with_the_metrics_that_leave_them_out() -> None:
    tags = {"guitar": (50, 20, 80), "flute": (0, 0, 80), "music": (90, 80, 80), "harp": (5, 1, 80), "oboe": (5, 4, 80)}
    assert notes("multilabel", tags, {"roc_auc", "pr_auc"}) == [
        "styles: no training clip of flute, so that it cannot be learnt.",
        "styles: no test clip of flute: left out of ROC-AUC and PR-AUC.",
        "styles: music is true for every test clip, left out of ROC-AUC and PR-AUC.",
        "styles: fewer than 5 test clips of harp (1) and oboe (4); single clips decide how well a class does.",
    ]
    assert "styles: no test clip of flute." in notes("multilabel", tags, {"macro_f1"})
    many = {f"tag{number}": (9, 0, 90) for number in range(9)}
    assert notes("multilabel", many, {"roc_auc"}) == [
        "styles: no test clip of tag0, tag1, tag2, tag3, tag4, tag5 and 3 more: left out of ROC-AUC."
    ]


def test_the_classes_of_the_prepared_data_are_noted_below_the_table_and_on_the_terminal(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for encoder in ("pase", "random"):
        results.add(factors(encoder, "frozen", "openmic"), [0.5, 0.6, 0.7])
    results.manifest["studies"]["fig2"]["comparisons"] = results.manifest["studies"]["fig2"]["comparisons"][:1]
    corpus = write_corpus(tmp_path / "openmic", clips=20, classes=4, seconds=0.1)
    results.manifest["corpora"] = [str(corpus.folder)]
    table = build_table(results)
    note = "OpenMIC: 4 test clips for 4 classes: 1 each; single clips decide how well a class does."
    assert note in table.notes
    console = Console(record=True, width=200)
    terminal.show(table, console)
    assert note in console.export_text()
