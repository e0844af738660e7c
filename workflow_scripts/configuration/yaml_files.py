"""YAML files of configs and studies, read strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml

from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import find_similar

MERGE_KEY, TEXT = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:str"
#: what YAML 1.1 makes of text without quotes, some of which few expect: yes, 1:30, 010, dates
KINDS = {"int": "a number", "float": "a number", "timestamp": "a date", "bool": "true or false", "null": "null"}
LARGEST_INTEGER = 2**63 - 1  # what every reader of a job's config and of a table can hold
MOST_VALUES, MOST_LEVELS = 100_000, 100  # the paper's config has 1,000 and 5
SUFFIXES = (".yaml", ".yml")
SHIPPED = Path("config")  # the configs of a checkout, seen from where commands are run


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a file of keys and values; an empty file has none.

    Raises `UserError`, in one line with the number of the line, for anything else, and for a key that is stated twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file{_suggest(path)}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: cannot be read as YAML: {error}: save it as UTF-8") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read as YAML: {error}") from error
    content = _parse(text, path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold keys and their values (key: value), not {_name_kind(content)}")
    return content


def _name_kind(content: object) -> str:
    kinds = {list: "a list", bool: "true or false", str: "a text"}
    return next((name for kind, name in kinds.items() if isinstance(content, kind)), "a number")


def _suggest(path: Path) -> str:
    """Name the config file, beside this one or among those that ship, whose name it may be misspelt from."""
    files = {
        file.stem: file for folder in (SHIPPED, path.parent) for file in folder.glob("*") if file.suffix in SUFFIXES
    }
    name = find_similar(path.stem, files)
    return f" (did you mean {files[name]}?)" if name else ""


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
        _check_depth(text, path)
        document = loader.get_single_node()
        if document is None:
            return {}
        _NodeChecks(loader, path).count(document)
        return loader.construct_document(document)
    except yaml.MarkedYAMLError as error:
        raise UserError(f"{path}: cannot be read as YAML: {_describe(error, text.splitlines())}") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from error
    finally:
        loader.dispose()


def _check_depth(text: str, path: Path) -> None:
    """Raise `UserError` for nesting that would end the reader's process: it calls itself for each level."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_LEVELS and event.start_mark is not None:
            raise UserError(f"{path}: line {event.start_mark.line + 1}: more than {MOST_LEVELS} levels of nesting")


class _NodeChecks:
    """Checks of a document for what YAML takes in another way than it looks, without a word; `UserError` names lines.

    These are a key that is stated twice, a name or a number that YAML 1.1 reads as something else, and anchors that
    multiply.
    """

    def __init__(self, loader: Any, path: Path) -> None:
        self.loader, self.path = loader, path
        self.counts: dict[int, int] = {}  # by the node's identity; 0 while its values are counted

    def count(self, node: yaml.Node) -> int:
        """Check a node and all below it; return how many values they are once aliases are replaced."""
        if id(node) not in self.counts:
            self.counts[id(node)] = 0
            match node:
                case yaml.ScalarNode():
                    self._check_value(node)
                    values = 1
                case yaml.MappingNode():
                    self._check_keys(node)
                    values = 1 + sum(self.count(value) for _, value in node.value)
                case _:
                    values = 1 + sum(self.count(value) for value in node.value)
            if values > MOST_VALUES:
                self._refuse(node, f"holds more than {MOST_VALUES:,} values: state fewer, or fewer aliases (*name)")
            self.counts[id(node)] = values
        elif not self.counts[id(node)]:
            self._refuse(node, "contains itself: remove the alias (*name)")
        return self.counts[id(node)]

    def _check_keys(self, node: yaml.MappingNode) -> None:
        places: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE_KEY:
                continue
            if _kind(key) == "int" and isinstance(value, yaml.ScalarNode) and not value.value and node.flow_style:
                self._refuse(key, f"a comma before {key.value}: write decimals with a point and no other separators")
            line = key.start_mark.line + 1
            if key.value in places:
                first = f"in line {places[key.value]} and in line {line}"
                raise UserError(f"{self.path}: {key.value} is stated twice, {first}: keep one")
            places[key.value] = line
            if key.tag != TEXT:
                kind = KINDS.get(_kind(key), "no text")
                self._refuse(key, f"the name {key.value} is read as {kind}: put it in quotes ('{key.value}')")

    def _check_value(self, node: yaml.ScalarNode) -> None:
        kind, written = _kind(node), node.value
        if kind not in KINDS:
            return
        try:
            value = self.loader.construct_object(node)
        except (ValueError, LookupError, AttributeError):  # so PyYAML fails where a text is not what its tag says
            self._refuse(
                node, f"{written[:80]} is no {KINDS[kind].removeprefix('a ')}: correct it, or put it in quotes"
            )
        if kind == "timestamp" and str(value) != written:
            self._refuse(node, f"{written} is read as the time {value}: put it in quotes ('{written}')")
        if kind in ("int", "float") and (":" in written or re.fullmatch(r"[-+]?0[0-7_]+", written)):
            remedy = f"write the number without colon or leading zero, or '{written}' if it is text"
            self._refuse(node, f"{written} is read as {value}: {remedy}")
        if kind == "int" and abs(value) > LARGEST_INTEGER:
            self._refuse(node, f"{written} is too large; allowed: at most {LARGEST_INTEGER}")

    def _refuse(self, node: yaml.Node, problem: str) -> NoReturn:
        raise UserError(f"{self.path}: line {node.start_mark.line + 1}: {problem}")


def _kind(node: yaml.Node) -> str:
    return str(node.tag).rpartition(":")[2]


def _describe(error: yaml.MarkedYAMLError, lines: Sequence[str]) -> str:
    mark = error.problem_mark or error.context_mark
    problem = " ".join(str(error.problem or error.context).split())
    if mark is None:
        return problem
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return f"line {mark.line + 1} begins with a tab: indent with spaces"
    return f"line {mark.line + 1}: {problem}"
