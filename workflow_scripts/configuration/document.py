"""Page of every configuration key: `python -m workflow_scripts.configuration.document > config/README.md`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from workflow_scripts.configuration.protocol import EvaluationProtocol, Phase
from workflow_scripts.configuration.recipe import Recipe
from workflow_scripts.core.validation import describe_type
from workflow_scripts.levels import registry

SCHEMAS = Path(__file__).parents[2] / "config" / "schema"
INTRODUCTION = """# Configuration keys

Generated from the models of configs, studies and levels; do not edit. After a change run
`python -m workflow_scripts.configuration.document > config/README.md`.

A config states only what differs from `config/config.yaml`; several configs are merged key by key, later ones over
earlier ones.
"""
MODELS: dict[str, tuple[str, type[BaseModel]]] = {
    "Recipes": ("Keys of `recipes.<name>`: the numbers of a pre-training that are not factors.", Recipe),
    "Downstream training": (
        "Keys of `evaluation`; `evaluation.heads.<head>` and `evaluation.scenarios.<scenario>` override them.",
        EvaluationProtocol,
    ),
    "Phases of downstream training": ("Keys of each entry of `evaluation.phases`.", Phase),
}
#: factors whose levels have options in a config, and the section that holds them
SECTIONS = {
    "encoder": "encoders.<name>",
    "worker": "workers.<name>",
    "weighting": "weightings.<name>",
    "augmentation": "augmentations.<name>",
    "head": "heads.<name>",
    "dataset": "datasets.<name>.options",
    "figure": "figure (of a study)",
}


def render_page() -> str:
    """Return the page as Markdown."""
    parts = [INTRODUCTION]
    for title, name in {"Config": "config", "Study": "study"}.items():
        schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
        rows = [(key, _schema_type(entry), "", entry.get("description", "")) for key, entry in _properties(schema)]
        parts += [f"## {title}\n", _table(rows)]
    for title, (text, model) in MODELS.items():
        parts += [f"## {title}\n", f"{text}\n", _table(_rows(model))]
    for factor, section in SECTIONS.items():
        parts.append(f"## Options of each {factor}\n\nKeys of `{section}`.\n")
        for name in registry.names(factor):
            rows = list(_rows(registry.load(factor, name).Options))
            parts += [f"### `{name}`\n", _table(rows) if rows else "No options.\n"]
    return "\n".join(parts)


def _properties(schema: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from schema["properties"].items()


def _schema_type(entry: Mapping[str, Any]) -> str:
    kinds = entry.get("type", "text or keys and values")
    names = {"string": "text", "array": "a list", "object": "keys and values", "number": "a number", "null": "null"}
    return " or ".join(names.get(kind, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _rows(model: type[BaseModel]) -> Iterator[tuple[str, str, str, str]]:
    """Yield key, type, default and meaning of every field."""
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else _yaml(field.get_default(call_default_factory=True))
        yield field.alias or name, describe_type(field.annotation), default, field.description or ""


def _yaml(value: object) -> str:
    """Return a default value as YAML writes it."""
    if isinstance(value, bool | None):
        return {True: "true", False: "false", None: "null"}[value]
    return json.dumps(value, default=lambda item: item.model_dump()) if not isinstance(value, str) else value


def _table(rows: Any) -> str:
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, kind, default, meaning in rows:
        cells = (f"`{key}`", kind, f"`{default}`" if default else "", " ".join(meaning.split()))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(render_page(), end="")
