"""YAML files of configs and studies, read strictly."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from workflow_scripts.core.errors import UserError

MERGE_KEY = "tag:yaml.org,2002:merge"
SUFFIXES = (".yaml", ".yml")
SHIPPED = Path("config")  # the configs of a checkout, seen from where commands are run


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a file of keys and values; an empty file has none.

    Raises `UserError`, in one line with the number of the line, for anything else, and for a key that is stated twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file{_suggest(path)}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as YAML: {error}") from error
    content = _parse(text, path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold keys and their values (key: value), not a {type(content).__name__}")
    return content


def _suggest(path: Path) -> str:
    """Name the config file, beside this one or among those that ship, whose name it may be misspelt from."""
    files = {
        file.name: file for folder in (SHIPPED, path.parent) for file in folder.glob("*") if file.suffix in SUFFIXES
    }
    names = difflib.get_close_matches(path.name, files, n=1)
    return f" (did you mean {files[names[0]]}?)" if names else ""


def merge(contents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge configs as Snakemake does: later ones go over earlier ones, key by key."""
    config: dict[str, Any] = {}
    for content in contents:
        _merge_into(config, content)
    return config


def _merge_into(base: dict[str, Any], override: Mapping[str, Any]) -> None:
    for key, value in override.items():
        if not isinstance(value, Mapping):
            base[key] = value
            continue
        if not isinstance(base.get(key), dict):
            base[key] = {}
        _merge_into(base[key], value)


def _parse(text: str, path: Path) -> Any:
    loader = yaml.CSafeLoader(text)
    try:
        document = loader.get_single_node()
        if document is None:
            return {}
        _refuse_duplicates(document, path)
        return loader.construct_document(document)
    except yaml.MarkedYAMLError as error:
        raise UserError(f"{path}: cannot be read as YAML: {_describe(error, text.splitlines())}") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from error
    finally:
        loader.dispose()


def _refuse_duplicates(node: yaml.Node, path: Path) -> None:
    """Raise `UserError` for a key that a mapping states twice: YAML would take the last without a word."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_duplicates(item, path)
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and key.tag != MERGE_KEY and lines.setdefault(key.value, line) != line:
                raise UserError(
                    f"{path}: {key.value} is stated twice, in line {lines[key.value]} and in line {line}: keep one"
                )
            _refuse_duplicates(value, path)


def _describe(error: yaml.MarkedYAMLError, lines: Sequence[str]) -> str:
    mark = error.problem_mark or error.context_mark
    problem = " ".join(str(error.problem or error.context).split())
    if mark is None:
        return problem
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return f"line {mark.line + 1} begins with a tab: indent with spaces"
    return f"line {mark.line + 1}: {problem}"
