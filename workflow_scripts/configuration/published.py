"""Published statements: rows of published.csv that the cells of a study are compared with, and their open choices."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from workflow_scripts.configuration.field_types import Metric
from workflow_scripts.configuration.study import LevelName
from workflow_scripts.core.validation import StrictModel

Expected = Literal[
    "above zero",
    "below zero",
    "not above zero",
    "not significantly above zero",
    "near zero",
    "not above",
    "not below",
]


def _check_tag(text: str) -> str:
    if not re.fullmatch(r"[ABC][0-9]+", text):
        raise ValueError(f"{text!r} is no tag such as A1")
    return text


Tag = Annotated[str, AfterValidator(_check_tag)]
Margin = Annotated[float, Field(gt=0)]
#: factor -> level, or the levels that are taken in step with those of other factors
LevelsOrLists = dict[str, LevelName | tuple[LevelName, ...]]


class Defaults(StrictModel):
    """Values of every row of a file that names no quantity of its own."""

    quantity: str = "mean"
    """quantity computed from our cells, in the unit of the published number"""
    expected: Expected | None = None
    """what the quantity should be, as in a row"""
    margin: Margin | dict[str, Margin] | None = None
    """margin of a row, or of each metric"""
    choices: tuple[Tag, ...] | None = None
    """open choices, as in a row"""


class PublishedRow(StrictModel):
    """One row of published.csv and what it is compared with."""

    id: str
    """row of published.csv"""
    quantity: str | None = None
    """quantity computed from our cells, in the unit of the published number; the file's default if absent"""
    metric: Metric | None = None
    """metric of the cells; the study's if absent"""
    of: LevelsOrLists = Field(default_factory=dict)
    """levels of the cells that the row is about; a list is taken in step with the lists of `over` and averaged"""
    over: LevelsOrLists | None = None
    """levels of the cells that these are compared with"""
    expected: Expected | None = None
    """for a claim in words: what the quantity should be, where `margin` is what still counts as not above, or as near
    zero, and the interval decides what is significant; for a number that is a bound: the side on which ours should
    stay, by no more than the margin beyond it"""
    margin: Margin | None = None
    """largest difference from the published number that counts as agreement, in its unit; declared beforehand"""
    options: dict[str, Any] = Field(default_factory=dict)
    """options of the quantity"""
    choices: tuple[Tag, ...] | None = None
    """open choices of docs/reproduction-notes.md that bear on the row; of a row about a metric, those that do not
    follow from its cells"""


class Statement(PublishedRow):
    """A row with a quantity, and with nothing left to the defaults of its file.

    The steps of `of` are paired with those of `over` and averaged.
    """

    quantity: str
    """quantity computed from our cells, in the unit of the published number"""

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        """Refuse lists of levels that are not in step."""
        of, over = len(self.of_steps), len(self.over_steps)
        if self.over and of != over:
            raise ValueError(f"`of` and `over` are not in step ({of} and {over}): give equally many")
        return self

    @functools.cached_property
    def of_steps(self) -> tuple[dict[str, str], ...]:
        """Levels of each step of `of`, as text."""
        return _split_steps(self.of)

    @functools.cached_property
    def over_steps(self) -> tuple[dict[str, str], ...]:
        """Levels of each step of `over`, as text; none without `over`."""
        return _split_steps(self.over) if self.over else ()

    def to_json(self) -> dict[str, Any]:
        """Return the keys that the statement has."""
        return self.model_dump(mode="json", exclude_none=True)


class PublishedFile(StrictModel):
    """Rows that one study can be compared with, or why there are none."""

    defaults: Defaults = Defaults()
    """values of the rows that name no quantity of their own"""
    rows: tuple[PublishedRow, ...] = ()
    """rows of published.csv"""
    without_rows: str = ""
    """why a publication has nothing that the study can be compared with"""


class Choices(StrictModel):
    """Open choices by the cells they bear on: tag -> factor -> levels (patterns), one of which a cell has."""

    numbers_and_claims: dict[Tag, dict[str, tuple[str, ...]]]
    """choices that bear on numbers and on claims in words"""
    numbers: dict[Tag, dict[str, tuple[str, ...]]]
    """choices too small to change a claim in words"""


def _split_steps(levels: Mapping[str, LevelName | tuple[LevelName, ...]]) -> tuple[dict[str, str], ...]:
    """Return the levels of each step: the first of every list, then the second, and so on."""
    lengths = {len(level) for level in levels.values() if isinstance(level, tuple)} or {1}
    if len(lengths) > 1:
        raise ValueError("lists of levels taken in step must be equally long")
    return tuple(
        {factor: str(level[step] if isinstance(level, tuple) else level) for factor, level in levels.items()}
        for step in range(lengths.pop())
    )
