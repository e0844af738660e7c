"""Types of values that several models share."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterable
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field

from workflow_scripts.levels.factors import NONE
from workflow_scripts.levels.fractions import ALLOWED, FRACTION

ValuesT = TypeVar("ValuesT", bound=Iterable[Hashable])

# A path holds up to eleven names; systems allow 255 characters in one and 4,096 in all.
LETTERS = "[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}"
PATH = r"(?!.*[^/]{256})[^\0]{1,1000}"


def _matches(pattern: str, allowed: str) -> AfterValidator:
    """Return the check that a text has a pattern; `allowed` describes it in errors."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text, re.DOTALL) is None:
            raise ValueError(f"{text!r} has the wrong form; allowed: {allowed}")
        return text

    return AfterValidator(check)


def unique(values: ValuesT) -> ValuesT:
    """Raise `ValueError` for a value that is there twice."""
    seen: set[Hashable] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"names {value!r} twice")
        seen.add(value)
    return values


#: name of an entry; it is a path segment and appears in tables
Name = Annotated[str, _matches(LETTERS, "names of letters, digits, _ . + -, at most 100")]
#: the same, where `none` is for a factor without a level
NotNone = Annotated[
    str, _matches(f"(?!{NONE}$){LETTERS}", f"names of letters, digits, _ . + -, at most 100, but not {NONE}")
]
#: SHA-256 of a file
Sha256 = Annotated[str, _matches("[0-9a-f]{64}", "64 lower-case hexadecimal digits")]
#: path that every system can hold
PathText = Annotated[str, _matches(PATH, "a path of at most 1,000 characters")]
#: the same, of a user's file or folder; `~` is the home folder
HomePath = Annotated[PathText, AfterValidator(os.path.expanduser)]
#: folder that Snakemake's path patterns can hold, and that no program takes for an option
Folder = Annotated[
    str,
    _matches(rf"(?!-)(?!.*[{{}}<>]){PATH}", "a path of at most 1,000 characters without { } < >, not beginning with -"),
    AfterValidator(os.path.expanduser),
]


def _check_node_folder(value: bool | str) -> bool | str:
    """Return a setting of `stage`; raise `ValueError` for a path that is not absolute, which no disk of a node has."""
    if isinstance(value, str) and re.fullmatch(rf"(?=[/$]){PATH}", value) is None:
        raise ValueError(f"{value!r} is no folder of a node; allowed: true, false, or a path that begins with / or $")
    return value


#: whether there is a folder on the disk of a node, or which; it may name the node's variables
NodeFolder = Annotated[bool | str, AfterValidator(_check_node_folder)]
# Of numbers of optimisers: far above any that learns, and below those (1e38) that no float32 holds, also where a
# formula multiplies them.
LARGEST = 1e30
#: learning rate, or another number of an optimiser that is above 0
Rate = Annotated[float, Field(gt=0, le=LARGEST)]
WeightDecay = Annotated[float, Field(ge=0, le=LARGEST)]
#: share of the training labels
Fraction = Annotated[str, _matches(FRACTION.pattern, f"{ALLOWED}, or an entry of fractions")]
#: name of an entry of `fractions`
FractionName = Annotated[
    str,
    _matches(
        rf"(?!100pct)(?![0-9.]+pct$){FRACTION.pattern}",
        "a percentage above 0 and below 100 with a suffix, such as 10pct_segments",
    ),
]
#: metric of predictions
Metric = Literal[
    "macro_f1",
    "macro_f1_positive",
    "accuracy",
    "balanced_accuracy",
    "roc_auc",
    "pr_auc",
    "roc_auc_clip",
    "pr_auc_clip",
]
#: names in a list: at least one, each once
Names = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(unique)]
#: the same, but there may be none
NamesOrNone = Annotated[tuple[str, ...], AfterValidator(unique)]
