"""The level loader."""

from __future__ import annotations

import ast

import pytest

from workflow_scripts import levels
from workflow_scripts.errors import UserError

#: what planning reads of each factor's levels
FACTS = {
    "dataset": ["TASK"],
    "encoder": ["TRAINABLE", "SAMPLE_RATE"],
    "worker": ["PRECOMPUTED"],
    "scenario": ["PRETRAINED", "TRAINS_ENCODER"],
    "figure": [],
}
#: what callers use of each factor's levels
FUNCTIONS = {
    "dataset": {"Options", "index"},
    "twin": {"write"},
    "encoder": {"Options", "build"},
    "worker": {"Options", "build"},
    "weighting": {"Options", "weigh"},
    "augmentation": {"Options", "build"},
    "head": {"Options", "build"},
    "scenario": {"run"},
    "figure": {"Options", "numbers", "draw", "describe"},
}
LEVELS = [(factor, name) for factor in levels.FOLDERS for name in levels.names(factor)]


@pytest.mark.parametrize(("factor", "name"), LEVELS)
def test_every_level_has_the_shape_of_its_factor(factor: str, name: str) -> None:
    for constant in FACTS.get(factor, []):
        levels.fact(factor, name, constant)
    defined = {
        node.name for node in levels.syntax(factor, name).body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    imported = {
        alias.asname or alias.name
        for node in levels.syntax(factor, name).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    wanted = FUNCTIONS[factor]
    if factor == "head" and levels.fact(factor, name, "READS") == "maps":
        wanted = wanted | {"window"}
    assert wanted <= defined | imported


def test_an_unknown_level_is_named_with_the_allowed_ones() -> None:
    with pytest.raises(UserError, match=r"unknown encoder 'wavenet'; allowed: .*pase"):
        levels.load("encoder", "wavenet")


def test_options_name_a_wrong_key_and_the_allowed_ones() -> None:
    head = levels.load("head", "linear")
    assert levels.options(head, {"standardise": False}).standardise is False
    with pytest.raises(UserError, match=r"options of linear: unknown width; allowed: standardise"):
        levels.options(head, {"width": 3})


def test_a_missing_fact_says_what_to_write() -> None:
    with pytest.raises(UserError, match=r"encoders/pase.py must state FLAVOUR"):
        levels.fact("encoder", "pase", "FLAVOUR")
