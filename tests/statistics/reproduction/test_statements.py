"""Published statements that studies are compared with: config/published, its defaults, choices and mistakes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.checkout import REPOSITORY
from tests.statistics.reproduction.test_published_rows import TAGS
from tests.statistics.reproduction.test_table import CLAIM, MEAN, NUMBER, table, write_trials
from tests.synthetic_results import Results
from workflow_scripts.configuration.config import Config
from workflow_scripts.configuration.load import load, load_study
from workflow_scripts.configuration.published import Statement
from workflow_scripts.configuration.yaml_files import read_yaml
from workflow_scripts.core.errors import UserError
from workflow_scripts.report.reproduction_wording import describe_quantity
from workflow_scripts.statistics.reproduction.published_rows import beyond_experiments, read_published
from workflow_scripts.statistics.reproduction.statements import load_statements, read_statements

FOLDER = REPOSITORY / "config"
STUDIES = sorted(path.stem for path in (FOLDER / "studies").glob("*.yaml"))
STATEMENTS = [
    pytest.param(statement, id=f"{study}-{number}")
    for study in STUDIES
    for number, statement in enumerate(read_statements(study, folder=FOLDER))
]


def having(condition: Callable[[Statement], bool]) -> list[Any]:
    """Select the statements that a rule is about; there must be some."""
    selected = [param for param in STATEMENTS if condition(param.values[0])]
    assert selected
    return selected


@pytest.mark.parametrize("study", STUDIES)
def test_every_statement_of_a_shipped_study_fits_its_row(study: str, tmp_path: Path) -> None:
    statements = read_statements(study, folder=FOLDER)
    lines = table(Results(tmp_path), *(statement.to_json() for statement in statements))
    compared = lines[lines["study"] == "fig2"]
    assert set(compared["id"]) == {statement.id for statement in statements}
    assert set(compared["verdict"]) <= {"not run"}
    for record in compared.to_dict("records"):
        assert re.fullmatch(r"[^{}\[\]]+", describe_quantity(record))
    assert {tag for statement in statements for tag in statement.choices or ()} <= set(TAGS)


#: corpora of Table 6.2 with a batch of 48
TRANSFER_CORPORA = ("fma_medium", "billboard", "gtzan_unlabelled")


@pytest.mark.parametrize("statement", having(lambda statement: "B5" in (statement.choices or ())))
def test_scores_of_pretrained_clmr_name_lars_but_for_a_batch_of_48(statement: Statement) -> None:
    small = statement.of.get("recipe") == "clmr_48" or statement.of.get("corpus") in TRANSFER_CORPORA
    assert ("B10" in (statement.choices or ())) != small


@pytest.mark.parametrize("statement", having(lambda statement: statement.of.get("dataset") == "msd"))
def test_scores_on_msd_name_no_joining_of_clips_to_songs(statement: Statement) -> None:
    assert "B9" not in (statement.choices or ()), "its clips are songs"


@pytest.mark.parametrize("name", STUDIES)
def test_every_level_of_a_statement_is_in_its_study(name: str) -> None:
    study = load_study(name, folder=FOLDER)
    for statement in read_statements(name, folder=FOLDER):
        for side in (statement.of, statement.over or {}):
            for factor, named in side.items():
                allowed = set(study.selectable(factor))
                assert set(named if isinstance(named, tuple) else [named]) <= allowed, statement


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_of_a_publication_is_compared_with_it_or_says_why_not(name: str) -> None:
    path = FOLDER / "published" / f"{name}.yaml"
    title = load_study(name, folder=FOLDER).title
    if re.search(r"Wu et al\. 2021|Spijkervet 2021|Garoufis et al\. 2024", title):
        content = read_yaml(path)
        assert content.get("rows") or len(content["without_rows"]) > 20
    else:
        assert not re.match("wu2021|spijkervet2021|garoufis2024", name)


def test_every_claim_and_number_is_compared_or_is_no_result_of_an_experiment() -> None:
    compared = {param.values[0].id for param in STATEMENTS}
    silent = {id_ for id_, row in read_published().items() if id_ not in compared and not beyond_experiments(row)}
    assert silent == set()


def test_a_file_of_published_rows_without_rows_says_why(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give rows, or state in without_rows why there are none"):
        attached(tmp_path)


def test_every_file_of_published_rows_belongs_to_a_study() -> None:
    files = {path.stem for path in (FOLDER / "published").glob("*.yaml")}
    assert files - {"choices"} <= set(STUDIES)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            {"id": "A.fig2.pase_plus_pase"},
            "id: published.csv has no row 'A.fig2.pase_plus_pase'; nearest: A.fig2.pase_plus_vs_pase, ",
        ),
        ({"quantity": "median"}, "quantity: unknown 'median'; allowed: "),
        ({"margin": None}, "margin: declare how far from 30.98 still counts as agreement"),
        ({"expected": "above zero"}, "expected: above zero; allowed for this row: not above, not below"),
        ({"id": CLAIM}, "expected: is missing; allowed for this row: above zero, below zero"),
        (
            {"id": CLAIM, "expected": "not above"},
            "expected: not above; allowed for this row: above zero, below zero, not above zero, not significa",
        ),
        (
            {"id": CLAIM, "expected": "near zero", "margin": None},
            "margin: declare how far from zero still counts as near",
        ),
        ({"options": {"tolerance": 1}}, "options: unknown key 'tolerance'"),
        (
            {"quantity": "label_saving", "over": {"encoder": "random"}},
            "options: 'tolerance' is missing",
        ),
        ({"over": {"encoder": "random"}}, "mean has no `over`"),
        ({"quantity": "difference"}, "difference needs `over`"),
        ({"of": {"colour": "red"}}, "unknown factor colour"),
        ({"of": {"workers": ["WLP", "WLPT"], "encoder": ["pase"]}}, "equally long"),
        (
            {"of": {"workers": ["WLP", "WLPT"]}, "over": {"workers": "WLP"}},
            "`of` and `over` are not in step (2 and 1): give equally many",
        ),
        (
            {"of": {"workers": ["WLP", "WLPT"]}},
            "mean takes one level of a factor, not a list; lists are allowed in best",
        ),
        ({"quantity": "loss_ratio", "options": {"losses": ["lps", "noise"]}}, "'noise' is not a worker; allowed: chr"),
        ({"quantity": "loss_ratio"}, "options: 'losses' is missing"),
        (
            {"quantity": "interaction", "over": {"encoder": "random"}, "options": {"group": {"data": "openmic"}}},
            "options.group: 'data' is not a factor; allowed: corpus, ",
        ),
        ({"quantity": "classes"}, "classes needs a dataset or a corpus"),
    ],
)
def test_a_statement_that_does_not_fit_is_refused(change: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(complaint)):
        table(write_trials(tmp_path, [0.3, 0.31]), MEAN | change)
    if "colour" not in complaint:  # a plan refuses a study's unknown factors before
        with pytest.raises(UserError, match=re.escape(complaint)) as caught:
            attached(tmp_path, {key: value for key, value in (MEAN | change).items() if value is not None})
        assert str(caught.value).startswith(f"config/published/own.yaml: {(MEAN | change)['id']}: ")
        assert "\n" not in str(caught.value)


def attached(tmp_path: Path, *rows: dict[str, Any], trim: dict[str, Any] | None = None) -> list[Statement]:
    """The statements of a study of many levels that `config/published/own.yaml` or `trim` states."""
    folder = tmp_path / "config"
    for name in ("published", "studies"):
        shutil.copytree(FOLDER / name, folder / name, dirs_exist_ok=True)
    (folder / "published" / "own.yaml").write_text(yaml.safe_dump({"rows": list(rows)}), encoding="utf-8")
    study = yaml.safe_load((FOLDER / "studies" / "wu2021_fig5.yaml").read_text(encoding="utf-8"))
    study["grid"]["encoder"] = ["pase", "random"]
    (folder / "studies" / "own.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    whole = load_study("own", folder=folder)
    return load_statements({"own": whole}, config(folder, own=trim or {}), folder=folder)["own"]


def config(folder: Path = FOLDER, **trim: dict[str, Any]) -> Config:
    """The config of the paper scale, with one study to run and others trimmed."""
    given = read_yaml(FOLDER / "config.yaml") | {"trim": trim, "studies": ["wu2021_fig2"]}
    return load([], folder=folder, merged=given)[0]


def test_a_config_may_replace_the_statements_of_a_study(tmp_path: Path) -> None:
    assert [row.id for row in attached(tmp_path, MEAN)] == [NUMBER]
    assert attached(tmp_path, MEAN, trim={"published": []}) == []
    other = {"id": "A.sec3_2.hop", "quantity": "hop"}
    assert attached(tmp_path, MEAN, trim={"published": [other]}) == [Statement(**other)]
    with pytest.raises(UserError, match=r"published\.csv has no row 'A\.hop'"):
        attached(tmp_path, MEAN, trim={"published": [{"id": "A.hop", "quantity": "hop"}]})


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"row": NUMBER}, "unknown key 'row'; allowed: choices, expected, id"),
        ({"id": NUMBER, "margin": 0}, "rows.0.margin: 0 is not allowed; allowed: above 0"),
        (
            {"id": NUMBER, "expected": "better"},
            "rows.0.expected: 'better' is not allowed; allowed: above zero, below zero",
        ),
        ({"id": NUMBER, "metric": "f1"}, "rows.0.metric: 'f1' is not allowed; allowed: macro_f1, "),
        ({"id": NUMBER, "choices": ["b1"]}, "rows.0.choices.0: 'b1' is no tag such as A1"),
        ({"id": NUMBER, "of": {"dataset": "gtzan"}}, f"{NUMBER}: of.dataset: 'gtzan' is not in the grid; allowed: "),
        ({"id": NUMBER, "of": {"colour": "red"}}, f"{NUMBER}: of: unknown factor 'colour'; allowed: corpus"),
    ],
)
def test_a_mistake_in_a_file_of_published_rows_is_one_line(row: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(complaint)) as caught:
        attached(tmp_path, row)
    assert "config/published/own.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_choices_follow_from_the_cells_of_a_measured_row() -> None:
    rows = {row.id: list(row.choices or ()) for row in read_statements("garoufis2024_results", folder=FOLDER)}
    assert rows["C.results.mtat.cnn.bare.pr_auc"] == ["C4", "C12", "C13"]
    vocals = [f"C{number}" for number in (1, 2, 3, 5, 6, 7, 8, 9, 11, 12, 13, 30)]
    assert rows["C.results.fma_medium.ast.vocals.accuracy"] == vocals
    schemes = {row.id: list(row.choices or ()) for row in read_statements("garoufis2024_schemes", folder=FOLDER)}
    # Of a claim in words, what is too small to change it is left out.
    assert schemes["C.takeaways.cnn_stages"] == ["C1", "C2", "C3", "C4", "C5", "C11", "C30"]
    assert rows["C.setup.fma_medium.classes"] == []  # counted


def test_choices_that_a_row_states_are_beside_those_that_follow_from_its_cells() -> None:
    rows = {row.id: list(row.choices or ()) for row in read_statements("garoufis2024_results", folder=FOLDER)}
    assert rows["C.results.mtat.cnn.bass.pr_auc.star"] == ["C1", "C2", "C3", "C4", "C5", "C11", "C14", "C30"]
    rows = {row.id: list(row.choices or ()) for row in read_statements("wu2021_fig5", folder=FOLDER)}
    assert "A16" in rows["A.fig5.openmic.adding_chroma"]
    assert "A16" not in rows["A.fig5.ballroom.adding_mfcc"]
    rows = {row.id: list(row.choices or ()) for row in read_statements("wu2021_fig4", folder=FOLDER)}
    assert rows["A.fig4.lps_largest"] == ["A5", "A6", "A7", "A8"]  # losses of pre-training, whatever it is evaluated on


def test_the_shipped_studies_pass_before_anything_runs() -> None:
    studies = {name: load_study(name, folder=FOLDER) for name in STUDIES}
    statements = load_statements(studies, config(), folder=FOLDER)
    assert sum(map(len, statements.values())) == len(STATEMENTS)
    assert statements["own_recordings"] == []


def trimmed(**trim: dict[str, Any]) -> dict[str, list[Statement]]:
    """The statements of all studies of the paper scale, some of them trimmed."""
    config, studies = load([], folder=FOLDER, merged=read_yaml(FOLDER / "config.yaml") | {"trim": trim})
    return load_statements(studies, config, folder=FOLDER)


def test_statements_go_with_the_levels_that_are_trimmed_away() -> None:
    statements = trimmed(wu2021_fig2={"encoder": ["pase"], "floors": ["random"]})["wu2021_fig2"]
    encoders = [statement.of.get("encoder", "pase") for statement in statements]
    assert all("pase" in (encoder if isinstance(encoder, tuple) else [encoder]) for encoder in encoders)
    assert len(statements) < len(read_statements("wu2021_fig2", folder=FOLDER))


def test_an_untrimmed_study_keeps_every_statement() -> None:
    for name, statements in trimmed().items():
        assert statements == read_statements(name, folder=FOLDER), name
    levels = [level for statement in trimmed()["wu2021_fig5"] for level in statement.of.values()]
    assert any(isinstance(level, tuple) for level in levels)


def test_a_statement_stays_while_one_of_its_steps_is_in_the_grid() -> None:
    def kept(*workers: str) -> int:
        statements = trimmed(wu2021_fig5={"workers": list(workers)})["wu2021_fig5"]
        adding_tempogram = ("WLPT", "WLPMT", "WLPCT", "WLPMCT")
        return sum(statement.of.get("workers") == adding_tempogram for statement in statements)

    assert kept("WLP", "WLPT") == 1
    assert kept("WLP", "WLPM") == 0


def test_a_statement_about_no_cell_is_a_mistake(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    shutil.copytree(FOLDER, folder)
    path = folder / "published" / "wu2021_fig2.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("dataset: fma_small}", "dataset: fma_smal}", 1))
    message = r"wu2021_fig2.yaml: A\.sec3_5_2\S+: of.dataset: 'fma_smal' is not in the grid; allowed: openmic"
    with pytest.raises(UserError, match=message):
        read_statements("wu2021_fig2", folder=folder)
