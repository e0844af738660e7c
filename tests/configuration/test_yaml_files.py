"""YAML files are read strictly: what YAML would pass over ends in one line that names file and line."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
import yaml

from tests.checkout import REPOSITORY
from workflow_scripts.configuration.load import load
from workflow_scripts.configuration.yaml_files import merge, read_yaml
from workflow_scripts.core.errors import UserError

MISTAKES = {
    "list": ("- a\n- b\n", "own.yaml: must hold keys and their values (key: value), not a list"),
    "words": ("words", "own.yaml: must hold keys and their values (key: value), not a text"),
    "number": ("3", "own.yaml: must hold keys and their values (key: value), not a number"),
    "open list": ("a: 1\nb: [", "own.yaml: cannot be read as YAML: line 3: did not find expected node content"),
    "key without a space": (
        "a: 1\nb:2\nc: 3\n",
        "own.yaml: cannot be read as YAML: line 3: could not find",
    ),
    "tab": ("a:\n\tb: 1\n", "own.yaml: cannot be read as YAML: line 2 begins with a tab: indent with spaces"),
    "tab after spaces": ("a:\n  b: 1\n  \tc: 2\n", "line 3 begins with a tab: indent with spaces"),
    "unknown alias": ("a: *b\n", "own.yaml: cannot be read as YAML: line 1: found undefined alias"),
    "code": (
        "a: !!python/object/apply:os.system [x]\n",
        "own.yaml: cannot be read as YAML: line 1: could not",
    ),
    "control character": ("a: \x07\n", "own.yaml: cannot be read as YAML: "),
    "key stated twice": ("a: 1\nb: 2\na: 3\n", "own.yaml: a is stated twice, in line 1 and in line 3: keep one"),
    "inner key stated twice": (
        "recipes:\n  short:\n    epochs: 1\n    batch: 2\n    epochs: 500\n",
        "own.yaml: epochs is stated twice, in line 3 and in line 5: keep one",
    ),
    "key of a list's entry stated twice": (
        "phases:\n  - rate: 1\n    rate: 2\n",
        "own.yaml: rate is stated twice, in line 2 and in line 3: keep one",
    ),
    "key stated twice in a line": (
        "a: {x: 1, y: 2, x: 3}",
        "own.yaml: x is stated twice, in line 1 and in line 1: keep one",
    ),
    "word of YAML as a name": (
        "a:\n  yes: 1\n",
        "own.yaml: line 2: the name yes is read as true or false: put it in quotes",
    ),
    "number as a name": ("1: 2\n", "line 1: the name 1 is read as a number: put it in quotes ('1')"),
    "time as a name": ("1:30: 2\n", "line 1: the name 1:30 is read as a number: put it in quotes ('1:30')"),
    "octal number as a name": ("010: 2\n", "line 1: the name 010 is read as a number"),
    "date as a name": ("2024-01-01: 2\n", "line 1: the name 2024-01-01 is read as a date: put it in quotes"),
    "nothing as a name": ("~: 2\n", "line 1: the name ~ is read as null"),
    "decimal comma": ("{a: 0,001}", "line 1: a comma before 001: write decimals with a point"),
    "time": (
        "a: 1:30\n",
        "line 1: 1:30 is read as 90: write the number without colon or leading zero, or '1:30' if it",
    ),
    "time with a fraction": ("a: 1:30.5\n", "line 1: 1:30.5 is read as 90.5"),
    "octal number": ("a: [8, 010]\n", "line 1: 010 is read as 8"),
    "point of time": (
        "a: 2001-12-14t21:59:43Z\n",
        "line 1: 2001-12-14t21:59:43Z is read as the time 2001-12-14 21:59:43",
    ),
    "date of no calendar": ("a: 2024-13-45\n", "line 1: 2024-13-45 is no date: correct it, or put it in quotes"),
    "number of twenty digits": (
        "a: 12345678901234567890\n",
        "line 1: 12345678901234567890 is too large; allowed: at most 9",
    ),
    "number of five thousand digits": (f"a: {'9' * 5000}\n", "99 is no number: correct it"),
    "tag that does not fit": ("a: !!bool x\n", "line 1: x is no true or false"),
    "nesting in brackets": ("a: " + "[" * 100_000, "line 1: more than 100 levels of nesting"),
    "nesting by indentation": (
        "".join(" " * depth + "a:\n" for depth in range(2000)),
        "line 101: more than 100 levels",
    ),
    "aliases that multiply": (
        "a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
        + "".join(
            f"{name}: &{name} [{', '.join([f'*{below}'] * 9)}]\n" for below, name in itertools.pairwise("abcdefghij")
        ),
        "holds more than 100,000 values: state fewer, or fewer aliases",
    ),
    "alias of itself": ("a: &a [*a]\n", "line 1: contains itself: remove the alias"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake: str, tmp_path: Path) -> None:
    text, message = MISTAKES[mistake]
    with pytest.raises(UserError, match=re.escape(message)) as error:
        read_yaml(write(tmp_path, text))
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"own.yaml: no such file"):
        read_yaml(tmp_path / "own.yaml")


def test_a_file_of_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_bytes("scale: größer\n".encode("cp1252"))
    with pytest.raises(UserError, match=r"own.yaml: cannot be read as YAML: 'utf-8'") as error:
        read_yaml(tmp_path / "own.yaml")
    assert "\n" not in str(error.value)


def test_loading_a_config_reads_its_files_strictly(tmp_path: Path) -> None:
    file = write(tmp_path, "a: [")
    with pytest.raises(UserError, match=r"own.yaml: cannot be read as YAML"):
        load([file], folder=REPOSITORY / "config")


@pytest.mark.parametrize("value", ["'010'", '"1:30"', "2024-01-01", "0", "-1", "0.5", "1_000", "0x10", "1.0e-3"])
def test_what_yaml_reads_as_it_looks_is_kept(value: str, tmp_path: Path) -> None:
    assert read_yaml(write(tmp_path, f"a: {value}\n")) == yaml.safe_load(f"a: {value}")


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    assert read_yaml(write(tmp_path, "\ufeffa: 1\n")) == {"a": 1}


def test_an_empty_file_states_nothing(tmp_path: Path) -> None:
    assert read_yaml(write(tmp_path, "# nothing\n")) == {}


def test_a_key_may_replace_a_merged_one(tmp_path: Path) -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {<<: *a, y: 3}\nc: {<<: *b, y: 4}\n"
    assert read_yaml(write(tmp_path, text))["c"] == {"x": 1, "y": 4}


def test_merging_leaves_its_parts_as_they_are() -> None:
    below, above = {"a": {"x": 1}}, {"a": {"x": 2, "y": 3}}
    assert merge([below, above]) == {"a": {"x": 2, "y": 3}}
    assert below == {"a": {"x": 1}}


def write(folder: Path, text: str) -> Path:
    file = folder / "own.yaml"
    file.write_text(text, encoding="utf-8")
    return file
