"""The level loader."""

from __future__ import annotations

import ast

import pytest

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels import registry

#: what planning reads of each factor's levels
FACTS = {
    "dataset": ["TASK"],
    "encoder": ["TRAINABLE"],
    "worker": ["PRECOMPUTED"],
    "scenario": ["PRETRAINED", "TRAINS_ENCODER"],
    "figure": [],
}
#: what callers use of each factor's levels
FUNCTIONS = {
    "dataset": {"Options", "index"},
    "twin": {"write"},
    "encoder": {"Options", "build", "sample_rate", "hop"},
    "worker": {"Options", "build"},
    "weighting": {"Options", "weigh"},
    "augmentation": {"Options", "build"},
    "head": {"Options", "build"},
    "scenario": {"run"},
    "figure": {"Options", "numbers", "draw", "describe"},
}
LEVELS = [(factor, name) for factor in registry.FOLDERS for name in registry.names(factor)]


@pytest.mark.parametrize(("factor", "name"), LEVELS)
def test_every_level_has_the_shape_of_its_factor(factor: str, name: str) -> None:
    for constant in FACTS.get(factor, []):
        registry.fact(factor, name, constant)
    defined = {
        node.name for node in registry.syntax(factor, name).body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    imported = {
        alias.asname or alias.name
        for node in registry.syntax(factor, name).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    wanted = FUNCTIONS[factor]
    if factor == "head" and registry.fact(factor, name, "READS") == "maps":
        wanted = wanted | {"window"}
    assert wanted <= defined | imported


def test_an_unknown_level_is_named_with_the_allowed_ones() -> None:
    with pytest.raises(UserError, match=r"unknown encoder 'wavenet'; allowed: .*pase"):
        registry.load("encoder", "wavenet")


def test_options_name_a_wrong_key_and_the_allowed_ones() -> None:
    head = registry.load("head", "linear")
    assert registry.options(head, {"standardise": False}).standardise is False
    with pytest.raises(UserError, match=r"options of linear: unknown key 'width'; allowed: standardise"):
        registry.options(head, {"width": 3})


def test_a_missing_fact_says_what_to_write() -> None:
    with pytest.raises(UserError, match=r"encoders/pase.py must state FLAVOUR"):
        registry.fact("encoder", "pase", "FLAVOUR")
