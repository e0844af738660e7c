"""Tables and figures that could not be produced: their reason takes their place, and the other studies get theirs."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd

from workflow_scripts.core.checksums import read_record
from workflow_scripts.core.errors import NO_PERMISSION, NO_SPACE, UserError, format_message
from workflow_scripts.core.escapes import one_line, shorten
from workflow_scripts.planning.layout import STATISTICS_FILES

ResultT = TypeVar("ResultT")
FAILED = "failed"
COLUMNS = ("study", "status", "reason")  # of the csv in place of the numbers
MAX_CHARACTERS = 600  # of a reason: a few paths; more is a dump


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A table or figure that could not be produced, with the reason."""

    reason: str


def attempt(produce: Callable[[], ResultT], *, name: str) -> ResultT | Failure:
    """Return the result of `produce`, or the failure, which is also reported on stderr with its traceback.

    A full disk or a forbidden file ends the command as everywhere: it would stop the other studies too.
    """
    try:
        return produce()
    except Exception as error:
        if ends_command(error):
            raise
        if not isinstance(error, UserError):
            traceback.print_exc()
        reason = " ".join(str(error).split()) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        failure = Failure(reason=shorten(one_line(reason), MAX_CHARACTERS))
        print(format_message(f"{name} failed, the others continue: {failure.reason}"), file=sys.stderr, flush=True)
        return failure


def ends_command(error: Exception) -> bool:
    """Return whether an error would stop the other studies too: a full disk, or a forbidden file."""
    return isinstance(error, OSError) and error.errno in NO_SPACE | NO_PERMISSION


def require_computed(study: str, statistics: Path) -> None:
    """Raise `UserError` with the reason if `aggregate` could not compute the statistics of a study."""
    if reason := read_record(statistics / STATISTICS_FILES["summary"]).get("failures", {}).get(study):
        raise UserError(reason)


def numbers(study: str, failure: Failure) -> pd.DataFrame:
    """Return the table in place of the numbers of a study."""
    return pd.DataFrame([[study, FAILED, failure.reason]], columns=list(COLUMNS))


def read_failure(table: pd.DataFrame) -> Failure | None:
    """Return the failure that a table of numbers stands for, if it is one."""
    if tuple(table.columns) == COLUMNS and list(table["status"]) == [FAILED]:
        return Failure(reason=table["reason"].iloc[0])
    return None
