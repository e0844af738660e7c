"""Documentation of all keys, generated from the models: config/README.md, and JSON schemas for editors.

    python -m workflow_scripts.configuration.document [--schemas FOLDER]

Writes config/README.md; with --schemas also config.schema.json and study.schema.json into FOLDER, for an editor that
completes and checks YAML.
"""

from __future__ import annotations

import argparse
import importlib
import json
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from workflow_scripts.configuration.config import (
    CheckpointEntry,
    Config,
    Dataset,
    FractionEntry,
    LevelEntries,
    PackageFile,
    ReportSettings,
)
from workflow_scripts.configuration.download_source import DownloadSource
from workflow_scripts.configuration.protocol import CellProtocol, Phase, ProtocolEntry
from workflow_scripts.configuration.published import Choices, Defaults, PublishedFile, PublishedRow
from workflow_scripts.configuration.recipe import Recipe
from workflow_scripts.configuration.study import (
    ComparisonConfig,
    FigureChoice,
    Grid,
    ListeningPage,
    QuarantineLimit,
    StudyConfig,
)
from workflow_scripts.configuration.trim import REPLACEABLE
from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.core.files import write_text
from workflow_scripts.core.source import PACKAGE
from workflow_scripts.core.validation import LIMITS, decimal, describe_type, field_descriptions
from workflow_scripts.levels import registry
from workflow_scripts.levels.contracts import CONTRACTS

README = PACKAGE.parent / "config" / "README.md"
COMMAND = "python -m workflow_scripts.configuration.document"
INTRODUCTION = f"""\
# Configuration keys

`config.yaml` holds the numbers of the paper scale. Other configs state only what differs and are given with
`--configfile`; `studies/` holds one file for each table or figure. Names of entries are path segments and appear in
tables: letters, digits and `_ . + -`.

This page is generated from the models that check the files: do not edit it, but run
`{COMMAND}`. With `--schemas FOLDER` it also writes JSON schemas, with which
editors complete and check YAML.
"""
ENTRIES = """\
Sections `encoders`, `workers`, `weightings`, `augmentations` and `heads` hold entries: a name, and the options of a
level. Data sets name theirs by `loader`, with its options under `options`. Three keys are common to all sections:

| key | type | default | meaning |
|---|---|---|---|
| `level` | text | name of the entry | file of the level; several entries may name one file and differ in options |
| `label` | text | label of the level, if the entry has its name; else the name | name in tables and figures |
| `trained` | true or false | true | encoders only; false keeps the initial weights, which makes the encoder a floor |
"""
#: heading -> model, of the files that a user writes
CONFIG_MODELS: dict[str, type[BaseModel]] = {
    "Config": Config,
    "`datasets.<name>`": Dataset,
    "`datasets.<name>.twin`": TwinOptions,
    "`checkpoints.<name>`": CheckpointEntry,
    "`package` of a checkpoint": PackageFile,
    "`sources.<data set>`": DownloadSource,
    "`recipes.<name>`": Recipe,
    "`fractions.<name>`": FractionEntry,
    "`protocols.<name>`": ProtocolEntry,
    "`phases` of a protocol": Phase,
    "`report`": ReportSettings,
}
STUDY_MODELS: dict[str, type[BaseModel]] = {
    "Study": StudyConfig,
    "`grid`": Grid,
    "`comparisons`": ComparisonConfig,
    "`figure`": FigureChoice,
    "`listening`": ListeningPage,
    "`quarantine`": QuarantineLimit,
}
PUBLISHED_MODELS: dict[str, type[BaseModel]] = {
    "`published/<study>.yaml`": PublishedFile,
    "`defaults` of published rows": Defaults,
    "`rows` of published rows": PublishedRow,
    "`published/choices.yaml`": Choices,
}
#: model -> heading of its keys
HEADINGS = {model: heading for heading, model in (CONFIG_MODELS | STUDY_MODELS | PUBLISHED_MODELS).items()}
HEADINGS[CellProtocol] = "`protocols.<name>`, without `heads` and `scenarios`"
#: annotation -> words, of keys that no model describes
OTHER_KEYS: dict[Any, str] = {
    LevelEntries: "names, each with the keys of entries of levels",
    Config.model_fields["trim"].annotation: "studies, each with the keys of `trim.<study>`",
}
TRIM = f"""\
Keys and values that replace the study's own: any key of `grid`, with its levels; `grids`, by name, where null leaves
one out; and
{", ".join(f"`{key}`" for key in REPLACEABLE)},
as in a study (`published`: as `rows` of published rows). Comparisons and statements about levels that are trimmed away
are left out; a note below the table names the comparisons.
"""
QUANTITIES = "workflow_scripts.statistics.reproduction.quantities.registry"
#: factors whose levels have options, in the order of the page
FACTORS = ("dataset", "encoder", "worker", "weighting", "augmentation", "head", "figure")


def render_page() -> str:
    """Return the content of config/README.md."""
    parts = [INTRODUCTION]
    for heading, model in CONFIG_MODELS.items():
        parts += [f"## {heading}", *_section(model)]
    parts += ["## `trim.<study>`", TRIM, "## Entries of levels", ENTRIES]
    for heading, model in (STUDY_MODELS | PUBLISHED_MODELS).items():
        parts += [f"## {heading}", *_section(model)]
    parts += ["## Quantities of published rows", _quantities()]
    for factor in FACTORS:
        parts.append(f"## Options of {CONTRACTS[factor].folder}")
        for name in registry.names(factor):
            parts += _level(factor, name)
    return "\n\n".join(part.strip() for part in parts) + "\n"


def write_schemas(folder: Path) -> None:
    """Write the JSON schemas of configs and studies; in a config any key may be left to `config.yaml`."""
    for name, model in (("config", Config), ("study", StudyConfig)):
        schema = _schema(model)
        if model is Config:
            schema.pop("required", None)
        write_text(folder / f"{name}.schema.json", json.dumps(schema, indent=2) + "\n")


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of a model, with the descriptions of all keys."""
    schema = model.model_json_schema()
    parts = {model.__name__: schema, **schema["$defs"]}
    for described in HEADINGS:
        for name, description in field_descriptions(described).items():
            if described.__name__ in parts:
                key = described.model_fields[name].alias or name
                parts[described.__name__]["properties"][key]["description"] = description
    return schema


def _level(factor: str, name: str) -> Iterator[str]:
    """Yield heading and options of a level; a level without options takes a line."""
    level = registry.load(factor, name)
    label = getattr(level, "LABEL", "")
    yield f"### `{name}`" + (f" ({label})" if label and label != name else "")
    if level.Options.model_fields:
        yield _table(level.Options)
    else:
        yield "No options."


def _quantities() -> str:
    """Return the table of quantities, which are loaded by name as levels are: they stand above the configuration."""
    rows = ["| quantity | kind | needs | meaning |", "|---|---|---|---|"]
    for name, quantity in importlib.import_module(QUANTITIES).QUANTITIES.items():
        needs = ["`over`"] * quantity.compares + ["`dataset` or `corpus` in `of`"] * quantity.of_corpus
        needs += [f"option `{option}`: {text}" for option, text in field_descriptions(quantity.options).items()]
        rows.append(f"| `{name}` | {quantity.kind} | {', '.join(needs)} | {quantity.meaning} |")
    return "\n".join(rows)


def _section(model: type[BaseModel]) -> Iterator[str]:
    yield " ".join((model.__doc__ or "").split())
    yield _table(model)


def _table(model: type[BaseModel]) -> str:
    descriptions = field_descriptions(model)
    rows = [_row(field.alias or name, field, descriptions.get(name, "")) for name, field in model.model_fields.items()]
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows])


def _row(name: str, field: FieldInfo, description: str) -> str:
    cells = [f"`{name}`", _type(field), _default(field), " ".join(description.split())]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _type(field: FieldInfo) -> str:
    """Describe the type of a field with its bounds, as messages do, and name the section of nested keys."""
    bounds = [
        text.format(_plain(getattr(item, key)))
        for item in field.metadata
        for key, text in LIMITS.items()
        if hasattr(item, key)
    ]
    words = OTHER_KEYS.get(field.annotation) or describe_type(field.annotation)
    model, by_name = _nested_model(field.annotation)
    if model in HEADINGS:
        words = words.replace(
            "keys and values", f"{'names, each with the ' if by_name else ''}keys of {HEADINGS[model]}"
        )
    kinds = " or ".join([words, *(["null"] if _may_be_null(field.annotation) else [])])
    return ", ".join([kinds, *bounds])


def _nested_model(annotation: Any) -> tuple[Any, bool]:
    """Return the model of nested keys, None if there is none, and whether each name of a mapping has one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    by_name = typing.get_origin(annotation) is dict
    models = (_nested_model(argument)[0] for argument in typing.get_args(annotation))
    return next(filter(None, models), None), by_name


def _may_be_null(annotation: Any) -> bool:
    return type(None) in typing.get_args(annotation)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = _plain(field.get_default(call_default_factory=True))
    # YAML reads 1e-08 as text
    return f"`{decimal(default) if isinstance(default, float) else json.dumps(default)}`"


def _plain(value: Any) -> Any:
    """Return a value as YAML writes it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer() and value < 1e15:  # with exponents above, as Python and YAML do
        return int(value)
    return value


def main() -> None:
    """Write the documentation."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=str(__doc__).partition("\n")[0])
    parser.add_argument("--schemas", type=Path, metavar="FOLDER", help="also write JSON schemas for editors here")
    arguments = parser.parse_args()
    write_text(README, render_page())
    if arguments.schemas is not None:
        arguments.schemas.mkdir(parents=True, exist_ok=True)
        write_schemas(arguments.schemas)


if __name__ == "__main__":
    main()
