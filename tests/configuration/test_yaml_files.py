"""YAML files are read strictly: what YAML would pass over ends in one line that names file and line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.checkout import REPOSITORY
from workflow_scripts.configuration.load import load
from workflow_scripts.configuration.yaml_files import merge, read_yaml
from workflow_scripts.core.errors import UserError

MISTAKES = {
    "list": ("- a\n- b\n", "own.yaml: must hold keys and their values (key: value), not a list"),
    "words": ("words", "own.yaml: must hold keys and their values (key: value), not a str"),
    "number": ("3", "own.yaml: must hold keys and their values (key: value), not a int"),
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
