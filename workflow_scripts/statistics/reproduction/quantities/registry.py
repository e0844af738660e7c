"""All quantities by name, gathered from the files of this folder: a file's `QUANTITIES` are its quantities by name."""

from __future__ import annotations

import importlib
from pathlib import Path

from workflow_scripts.statistics.reproduction.quantity import Quantity

LOADED_FOLDERS = (".",)
FILES = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in ("__init__", "registry"))

QUANTITIES: dict[str, Quantity] = {
    name: quantity
    for file in FILES
    for name, quantity in importlib.import_module(f"{__package__}.{file}").QUANTITIES.items()
}
