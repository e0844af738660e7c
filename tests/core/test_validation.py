"""Mistakes in plain data end in one line that names key and allowed values."""

from __future__ import annotations

import re
from typing import Any, Literal, Self

import pytest
from pydantic import Field, model_validator

from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import StrictModel, parse, require_known, unknown


class Filter(StrictModel):
    low_pass: tuple[float, float] = (1.0, 2.0)
    kind: Literal["low", "high"] = "low"


class Sound(StrictModel):
    rate: int = Field(gt=0, le=48000)
    level: float = 0.5
    loud: bool | Literal["auto"] = "auto"
    name: str | None = None
    filters: tuple[Filter, ...] = ()
    by_name: dict[str, Filter] = Field(default_factory=dict)
    tags: list[str] = Field(["a"], min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.level > self.rate:
            raise ValueError("level must be below rate")
        return self


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "missing key": ({}, "own.yaml: 'rate' is missing"),
    "missing key of a list's entry": (
        {"rate": 1, "filters": [{"kin": "low"}]},
        "own.yaml: filters.0: unknown key 'kin'",
    ),
    "unknown key": ({"rate": 1, "volume": 2}, "own.yaml: unknown key 'volume'; allowed: by_name, filters, level, loud"),
    "misspelt key": ({"rat": 1}, "own.yaml: unknown key 'rat' (did you mean rate?); allowed: by_name, "),
    "misspelt key below a name": (
        {"rate": 1, "by_name": {"list": {"knd": "low"}}},
        "own.yaml: by_name.list: unknown key 'knd' (did you mean kind?); allowed: kind, low_pass",
    ),
    "text as a number": ({"rate": "many"}, "own.yaml: rate: 'many' has the wrong type; allowed: a whole number"),
    "quoted number": (
        {"rate": "8"},
        "own.yaml: rate: '8' has the wrong type; allowed: a whole number (remove the quotes)",
    ),
    "number YAML reads as text": (
        {"rate": 1, "level": "1e-3"},
        "own.yaml: level: '1e-3' has the wrong type; allowed: a number (write 0.001)",
    ),
    "true as a number": ({"rate": True}, "own.yaml: rate: true has the wrong type; allowed: a whole number"),
    "fraction as a whole number": ({"rate": 1.5}, "own.yaml: rate: 1.5 has the wrong type; allowed: a whole number"),
    "quoted truth": (
        {"rate": 1, "loud": "true"},
        "own.yaml: loud: 'true' has the wrong type; allowed: true or false or auto (remove the quotes)",
    ),
    "no number at all": (
        {"rate": 1, "level": float("nan")},
        "own.yaml: level: nan has the wrong type; allowed: a number",
    ),
    "above the limit": ({"rate": 0}, "own.yaml: rate: 0 is not allowed; allowed: above 0"),
    "below the limit": ({"rate": 96000}, "own.yaml: rate: 96000 is not allowed; allowed: at most 48000"),
    "not in the list": (
        {"rate": 1, "by_name": {"x": {"kind": "middle"}}},
        "own.yaml: by_name.x.kind: 'middle' is not allowed; allowed: low, high",
    ),
    "too few items": (
        {"rate": 1, "filters": [{"low_pass": [1]}]},
        "own.yaml: filters.0.low_pass: [1] has the wrong type; allowed: a list (a number, a number)",
    ),
    "an empty list": ({"rate": 1, "tags": []}, "own.yaml: tags: [] is not allowed; allowed: at least 1 entry"),
    "mapping as text": ({"rate": 1, "name": {"a": 1}}, "own.yaml: name: {'a': 1} has the wrong type; allowed: text"),
    "keys that contradict each other": ({"rate": 1, "level": 2}, "own.yaml: level must be below rate"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake: str) -> None:
    given, message = MISTAKES[mistake]
    with pytest.raises(UserError, match=re.escape(message)) as error:
        parse(Sound, given, where="own.yaml")
    assert "\n" not in str(error.value)


def test_keys_follow_the_key_that_where_names() -> None:
    with pytest.raises(UserError, match=re.escape("own.yaml: sounds.bell.filters.0.kind: 'x' is not allowed")):
        parse(Sound, {"rate": 1, "filters": [{"kind": "x"}]}, where="own.yaml: sounds.bell")
    with pytest.raises(UserError, match=re.escape("own.yaml: sounds.bell: level must be below rate")):
        parse(Sound, {"rate": 1, "level": 2}, where="own.yaml: sounds.bell")


def test_lists_of_yaml_are_tuples_and_nothing_is_no_keys() -> None:
    assert parse(Filter, {"low_pass": [3, 4]}, where="x").low_pass == (3.0, 4.0)
    assert parse(Filter, None, where="x") == Filter()
    with pytest.raises(UserError, match=re.escape("x: ['low'] has the wrong type; allowed: keys and values")):
        parse(Filter, ["low"], where="x")


def test_the_nearest_name_is_offered() -> None:
    assert (
        unknown("encoder", "Pase", ["cpc", "pase"]) == "unknown encoder 'Pase' (did you mean pase?); allowed: cpc, pase"
    )
    message = unknown("key", "evaluation", ["augmentations", "protocols"])
    assert message == "unknown key 'evaluation'; allowed: augmentations, protocols", "neither is near enough"
    assert unknown("encoder", "wavenet", []) == "unknown encoder 'wavenet'; allowed: none"
    require_known("cpc", ["cpc"], kind="encoder", where="x")
    with pytest.raises(UserError, match=r"^x: unknown encoder 'cpd' \(did you mean cpc\?\); allowed: cpc$"):
        require_known("cpd", ["cpc"], kind="encoder", where="x")
