"""Csv files whose text cells no spreadsheet computes, and which read back to the same text."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from workflow_scripts.core.escapes import SEPARATED_FORMULA, csv_cell, read_csv_cell

if TYPE_CHECKING:
    import pandas as pd


def csv_text(table: pd.DataFrame, *, float_format: str | None = None) -> str:
    """Return `table` as csv, with the shortest digits that read back to the same number unless formatted."""
    # The csv module quotes commas and line feeds, but not other characters at which readers end a row or a cell.
    needs_quotes = False
    safe = table.copy()
    for name in table.columns[[kind.kind not in "biuf" for kind in table.dtypes]]:
        safe[name] = [csv_cell(cell) if isinstance(cell, str) else cell for cell in table[name]]
        texts = [cell for cell in safe[name] if isinstance(cell, str)]
        needs_quotes = needs_quotes or any("\r" in text or SEPARATED_FORMULA.search(text) for text in texts)
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if needs_quotes else csv.QUOTE_MINIMAL
    return safe.to_csv(index=False, lineterminator="\n", float_format=float_format, quoting=quoting)


def restore(column: pd.Series) -> pd.Series:
    """Return the text of a column that `csv_text` wrote."""
    return column.map(read_csv_cell)


def read_rows(path: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    """Read the rows of a file that `csv_text` wrote; raises `ValueError` unless it has these columns."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if absent := set(columns) - set(rows.fieldnames or ()):
            raise ValueError(f"{path} has no column {', '.join(sorted(absent))}")
        return [{name: read_csv_cell(cell or "") for name, cell in row.items()} for row in rows]
