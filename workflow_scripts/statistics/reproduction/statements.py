"""Statements: the published number or claim that cells of a study are compared with.

`config/published/<study>.yaml` lists the rows of published.csv that a study can be compared with, each with the
quantity computed from the study's cells (`quantities/registry.py`), the levels of these cells, and the margin declared
before the results are seen. `choices.yaml` beside the files gives the open choices (docs/reproduction-notes.md) that
bear on a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pandas as pd
from pydantic import AfterValidator, Field

from workflow_scripts.configuration.config import Config
from workflow_scripts.configuration.field_types import Metric
from workflow_scripts.configuration.load import load_study
from workflow_scripts.configuration.study import StudyConfig
from workflow_scripts.configuration.yaml_files import read_yaml
from workflow_scripts.core import validation
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import StrictModel
from workflow_scripts.levels.factors import FACTORS, PRETRAINING
from workflow_scripts.planning.grids import expand
from workflow_scripts.planning.manifest import Statement
from workflow_scripts.statistics.reproduction.published import read_published
from workflow_scripts.statistics.reproduction.quantities.registry import QUANTITIES
from workflow_scripts.statistics.reproduction.statement_checks import check_statement

FOLDER, CHOICES = "published", "choices.yaml"

Level = str | int
Expected = Literal["above zero", "below zero", "not above zero", "near zero", "not above", "not below"]


def _check_tag(text: str) -> str:
    if not re.fullmatch(r"[ABC][0-9]+", text):
        raise ValueError(f"{text!r} is no tag such as A1")
    return text


Tag = Annotated[str, AfterValidator(_check_tag)]
ModelT = TypeVar("ModelT", bound=StrictModel)
Margin = Annotated[float, Field(gt=0)]


class Defaults(StrictModel):
    """Values of every row of a file that names no quantity of its own."""

    quantity: str = "mean"
    """quantity computed from our cells, in the unit of the published number"""
    expected: Expected | None = None
    """what the quantity should be, as in a row"""
    margin: Margin | dict[str, Margin] | None = None
    """margin of a row, or of each metric"""
    choices: tuple[Tag, ...] | None = None
    """open choices of a row; those that follow from its cells if absent"""


class PublishedRow(StrictModel):
    """One row of published.csv and what it is compared with."""

    id: str
    """row of published.csv"""
    quantity: str | None = None
    """quantity computed from our cells, in the unit of the published number; the file's default if absent"""
    metric: Metric | None = None
    """metric of the cells; the study's if absent"""
    of: dict[str, Level | tuple[Level, ...]] = Field(default_factory=dict)
    """levels of the cells that the row is about; a list is taken in step with the lists of `over` and averaged"""
    over: dict[str, Level | tuple[Level, ...]] | None = None
    """levels of the cells that these are compared with"""
    losses: tuple[str, str] | None = None
    """for loss_ratio: the two workers, the first over the second"""
    expected: Expected | None = None
    """for a claim in words: what the quantity should be, where `margin` is what still counts as not above, or as near
    zero; for a number that is a bound: the side on which ours should stay, by no more than the margin beyond it"""
    margin: Margin | None = None
    """largest difference from the published number that counts as agreement, in its unit; declared beforehand"""
    tolerance: Annotated[float, Field(ge=0)] | None = None
    """for label_saving: points of the metric below what is to be reached that still count as reaching it"""
    choices: tuple[Tag, ...] | None = None
    """open choices of docs/reproduction-notes.md that bear on the row; those that follow from its cells if absent"""


class PublishedFile(StrictModel):
    """Rows that one study can be compared with."""

    defaults: Defaults = Defaults()
    """values of the rows that name no quantity of their own"""
    rows: tuple[PublishedRow, ...]
    """rows of published.csv"""


class Choices(StrictModel):
    """Open choices by the cells they bear on: tag -> factor -> levels (patterns), one of which a cell has."""

    numbers_and_claims: dict[Tag, dict[str, tuple[str, ...]]]
    """choices that bear on numbers and on claims in words"""
    numbers: dict[Tag, dict[str, tuple[str, ...]]]
    """choices too small to change a claim in words"""


def load_statements(
    studies: Mapping[str, StudyConfig], config: Config, *, folder: Path
) -> dict[str, list[dict[str, Any]]]:
    """Return what each of the trimmed studies is compared with: plain rows, as `read_statements`.

    `folder` holds `studies/` and `published/`. Statements about levels that a trimmed study lacks are left out;
    `trim.<study>.published` replaces all of a study. `UserError` names file, row and key.
    """
    table = read_published()
    choices = _read(folder / FOLDER / CHOICES, Choices)
    statements = {}
    for name, study in studies.items():
        trim = config.trim.get(name) or {}
        if "published" in trim:
            # All of them are kept, so that none disappears unnoticed.
            where = f"trim.{name}.published"
            statements[name] = _parse_rows(trim["published"], study, where=where, choices=choices, published=table)
        else:
            rows = read_statements(name, folder=folder, choices=choices, published=table)
            statements[name] = [row for row in rows if _any_step_in_grid(row, study)]
    return statements


def read_statements(
    study: str, *, folder: Path, choices: Choices | None = None, published: pd.DataFrame | None = None
) -> list[dict[str, Any]]:
    """Read what a study, untrimmed, is compared with: one plain dictionary per row, nothing left to defaults.

    Empty for a study without a file. `UserError` names file, row and key.
    """
    path = folder / FOLDER / f"{study}.yaml"
    if not path.is_file():
        return []
    content = _read(path, PublishedFile)
    return _resolve(
        content,
        load_study(study, folder=folder),
        where=f"{folder.name}/{FOLDER}/{study}.yaml",
        choices=choices or _read(folder / FOLDER / CHOICES, Choices),
        published=read_published() if published is None else published,
    )


def _read(path: Path, model: type[ModelT]) -> ModelT:
    return validation.parse(model, read_yaml(path), where=str(path))


def _parse_rows(
    rows: Any, study: StudyConfig, *, where: str, choices: Choices, published: pd.DataFrame
) -> list[dict[str, Any]]:
    """Resolve the rows that a config states instead of a study's own."""
    content = validation.parse(PublishedFile, {"rows": rows}, where=where)
    return _resolve(content, study, where=where, choices=choices, published=published)


def _resolve(
    content: PublishedFile, study: StudyConfig, *, where: str, choices: Choices, published: pd.DataFrame
) -> list[dict[str, Any]]:
    """Fill in defaults and choices, and check each row against published.csv and the study's grid."""
    cells = [_levels_of_pair(*pair) for pair in expand(study.stated(), {})]
    resolved = []
    for row in content.rows:
        entry = _with_defaults(row, content.defaults, metric=study.metric)
        place = f"{where}: {row.id}"
        _check_levels(entry, study, where=place)
        statement = Statement.from_json(entry, where=place)
        number = check_statement(published, statement, where=place)["mean"]
        if "choices" not in entry and QUANTITIES[statement.quantity].kind == "measured":
            tags = choices.numbers_and_claims | (choices.numbers if number else {})
            entry["choices"] = _tags_of(statement, cells, {tag: tags[tag] for tag in tags if tag[0] == row.id[0]})
        resolved.append({key: value for key, value in entry.items() if value != []})
    return resolved


def _with_defaults(row: PublishedRow, defaults: Defaults, *, metric: str) -> dict[str, Any]:
    """Return a row's entry for the manifest; a row with a quantity of its own takes no default."""
    stated = row.model_dump(mode="json", exclude_none=True)
    if row.quantity is not None:
        return stated
    general = defaults.model_dump(mode="json", exclude_none=True)
    if isinstance(defaults.margin, dict):
        general["margin"] = defaults.margin.get(row.metric or metric)
    return {
        **{key: value for key, value in general.items() if value is not None},
        "quantity": defaults.quantity,
        **stated,
    }


def _levels_of_pair(run: Any, cell: Any) -> dict[str, str]:
    """Return the level of each factor of one run's cell, as text."""
    return {factor: str(getattr(run if factor in PRETRAINING else cell, factor)) for factor in FACTORS}


def _tags_of(
    statement: Statement, cells: Sequence[Mapping[str, str]], rules: Mapping[str, Mapping[str, Iterable[str]]]
) -> list[str]:
    """Return the tags whose levels one of a statement's cells has, by number."""
    steps = (*statement.of, *statement.over)
    about = [cell for cell in cells if any(step.items() <= cell.items() for step in steps)]
    tags = [
        tag
        for tag, rule in rules.items()
        if any(
            all(any(fnmatchcase(cell[factor], level) for level in levels) for factor, levels in rule.items())
            for cell in about
        )
    ]
    return sorted(tags, key=lambda tag: int(tag[1:]))


def _check_levels(entry: Mapping[str, Any], study: StudyConfig, *, where: str) -> None:
    """Raise unless a study has every level that an entry names."""
    for side in ("of", "over"):
        for factor, named in entry.get(side, {}).items():
            if factor not in FACTORS:
                raise UserError(f"{where}: {side}: unknown factor {factor!r}; allowed: {', '.join(FACTORS)}")
            allowed = study.selectable(factor)
            for level in named if isinstance(named, list) else [named]:
                if level not in allowed:
                    shown = ", ".join(map(str, allowed))
                    raise UserError(f"{where}: {side}.{factor}: {level!r} is not in the grid; allowed: {shown}")


def _any_step_in_grid(entry: Mapping[str, Any], study: StudyConfig) -> bool:
    """Return whether a study has all levels of one step of an entry; lists of levels are taken in step."""
    named = [(factor, level) for side in ("of", "over") for factor, level in entry.get(side, {}).items()]
    steps = max((len(level) for _, level in named if isinstance(level, list)), default=1)
    return any(
        all((level[step] if isinstance(level, list) else level) in study.selectable(factor) for factor, level in named)
        for step in range(steps)
    )
