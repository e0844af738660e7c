"""Statements: the published number or claim that cells of a study are compared with.

`config/published/<study>.yaml` lists the rows of published.csv that a study can be compared with, each with the
quantity computed from the study's cells (`quantities/registry.py`), the levels of these cells, and the margin declared
before the results are seen. `choices.yaml` beside the files gives the open choices (docs/reproduction-notes.md) that
bear on a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from workflow_scripts.configuration.config import Config
from workflow_scripts.configuration.load import load_study
from workflow_scripts.configuration.published import Choices, Defaults, PublishedFile, PublishedRow, Statement
from workflow_scripts.configuration.study import StudyConfig
from workflow_scripts.configuration.yaml_files import read_yaml
from workflow_scripts.core import validation
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import StrictModel
from workflow_scripts.levels.factors import FACTORS, PRETRAINING
from workflow_scripts.planning.grids import expand
from workflow_scripts.statistics.reproduction.published_rows import PublishedRows, read_published
from workflow_scripts.statistics.reproduction.quantities.registry import QUANTITIES
from workflow_scripts.statistics.reproduction.statement_checks import check_statement

FOLDER, CHOICES = "published", "choices.yaml"

ModelT = TypeVar("ModelT", bound=StrictModel)


def load_statements(studies: Mapping[str, StudyConfig], config: Config, *, folder: Path) -> dict[str, list[Statement]]:
    """Return the statements that each of the trimmed studies is compared with.

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
            content = validation.parse(PublishedFile, {"rows": trim["published"]}, where=where)
            statements[name] = _resolve(content, study, where=where, choices=choices, published=table)
        else:
            untrimmed = None if trim else study
            rows = read_statements(name, folder=folder, untrimmed=untrimmed, choices=choices, published=table)
            statements[name] = [row for row in rows if _any_step_in_grid(row, study)]
    return statements


def read_statements(
    study: str,
    *,
    folder: Path,
    untrimmed: StudyConfig | None = None,
    choices: Choices | None = None,
    published: PublishedRows | None = None,
) -> list[Statement]:
    """Read the statements that a study, untrimmed, is compared with; none for a study without a file.

    `UserError` names file, row and key.
    """
    path = folder / FOLDER / f"{study}.yaml"
    if not path.is_file():
        return []
    content = _read(path, PublishedFile)
    if bool(content.rows) == bool(content.without_rows):
        raise UserError(f"{path}: give rows, or state in without_rows why there are none")
    return _resolve(
        content,
        untrimmed or load_study(study, folder=folder),
        where=f"{folder.name}/{FOLDER}/{study}.yaml",
        choices=choices or _read(folder / FOLDER / CHOICES, Choices),
        published=read_published() if published is None else published,
    )


def _read(path: Path, model: type[ModelT]) -> ModelT:
    return validation.parse(model, read_yaml(path), where=str(path))


def _resolve(
    content: PublishedFile, study: StudyConfig, *, where: str, choices: Choices, published: PublishedRows
) -> list[Statement]:
    """Fill in defaults and choices, and check each row against published.csv and the study's grid."""
    cells = [_levels_of_pair(*pair) for pair in expand(study, {})]
    statements = []
    for row in content.rows:
        place = f"{where}: {row.id}"
        _check_levels(row, study, where=place)
        entry = _with_defaults(row, content.defaults, metric=study.metric)
        statement = validation.parse(Statement, entry, where=place)
        number = check_statement(published, statement, where=place)["mean"]
        quantity = QUANTITIES[statement.quantity]
        if quantity.kind == "measured" and quantity.of_metric:
            tags = choices.numbers_and_claims | (choices.numbers if number else {})
            of_system = {tag: tags[tag] for tag in tags if tag[0] == row.id[0]}
            bearing = {*(statement.choices or ()), *_tags_of(statement, cells, of_system)}
            by_number = tuple(sorted(bearing, key=lambda tag: int(tag[1:])))
            statement = statement.model_copy(update={"choices": by_number})
        statements.append(statement)
    return statements


def _with_defaults(row: PublishedRow, defaults: Defaults, *, metric: str) -> dict[str, Any]:
    """Return the keys of a row and of the defaults; a row with a quantity of its own takes no default."""
    keys = row.model_dump(mode="json", exclude_none=True)
    if row.quantity is not None:
        return keys
    general = defaults.model_dump(mode="json")
    if isinstance(defaults.margin, dict):
        general["margin"] = defaults.margin.get(row.metric or metric)
    return general | keys


def _levels_of_pair(run: Any, cell: Any) -> dict[str, str]:
    """Return the level of each factor of one run's cell, as text."""
    return {factor: str(getattr(run if factor in PRETRAINING else cell, factor)) for factor in FACTORS}


def _tags_of(
    statement: Statement, cells: Sequence[Mapping[str, str]], rules: Mapping[str, Mapping[str, Iterable[str]]]
) -> list[str]:
    """Return the tags whose levels one of a statement's cells has."""
    steps = (*statement.of_steps, *statement.over_steps)
    about = [cell for cell in cells if any(step.items() <= cell.items() for step in steps)]
    return [
        tag
        for tag, rule in rules.items()
        if any(
            all(any(fnmatchcase(cell[factor], level) for level in levels) for factor, levels in rule.items())
            for cell in about
        )
    ]


def _check_levels(row: PublishedRow, study: StudyConfig, *, where: str) -> None:
    """Raise unless a study has every level that a row names."""
    for side, levels in (("of", row.of), ("over", row.over or {})):
        for factor, named in levels.items():
            if factor not in FACTORS:
                raise UserError(f"{where}: {side}: unknown factor {factor!r}; allowed: {', '.join(FACTORS)}")
            allowed = study.selectable(factor)
            for level in named if isinstance(named, tuple) else [named]:
                if level not in allowed:
                    allowed_levels = ", ".join(map(str, allowed))
                    raise UserError(
                        f"{where}: {side}.{factor}: {level!r} is not in the grid; allowed: {allowed_levels}"
                    )


def _any_step_in_grid(statement: Statement, study: StudyConfig) -> bool:
    """Return whether the study's grid has every level of at least one step of the statement."""
    over_steps = statement.over_steps or ({},) * len(statement.of_steps)
    return any(
        all(level in map(str, study.selectable(factor)) for factor, level in (*of.items(), *over.items()))
        for of, over in zip(statement.of_steps, over_steps, strict=True)
    )
