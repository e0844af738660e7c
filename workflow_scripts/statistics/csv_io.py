"""CSV input without guesses: text stays text, and numbers come back with every digit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from workflow_scripts.core.checksums import require_unchanged
from workflow_scripts.core.csv_files import restore
from workflow_scripts.core.errors import UserError
from workflow_scripts.planning.layout import STATISTICS_FILES

#: a `count` is a whole number, or missing where the text is empty
Kind = Literal["text", "integer", "count", "number"]


def read_csv(source: Path | StringIO, kinds: Mapping[str, Kind]) -> pd.DataFrame:
    """Read the columns of `kinds`, in their order; an empty number is not-a-number.

    By itself pandas takes a digest such as 1234e567 for a number and a level such as "none" or "null" for a missing
    value. Raises `ValueError` for an absent column or a text that is no number.
    """
    table = pd.read_csv(source, usecols=list(kinds), dtype=str, keep_default_na=False)[list(kinds)]
    return table.assign(**{name: _convert(table[name], kind) for name, kind in kinds.items()})


def require_aggregated(path: Path) -> None:
    """Raise `UserError` unless a file is as `aggregate` wrote it."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; run aggregate first")
    require_unchanged(path, record=path.with_name(STATISTICS_FILES["summary"]))


def _convert(column: pd.Series, kind: Kind) -> pd.Series | np.ndarray:
    if kind == "text":
        return restore(column)
    if kind == "integer":
        return np.array([int(text) for text in column], np.int64)
    if kind == "count":
        return pd.Series([int(text) if text else None for text in column], dtype="Int64", index=column.index)
    return np.array([float(text) if text else math.nan for text in column], np.float64)
