"""DataTables, the script for tables that readers sort and search, from the package itables, without a network."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from workflow_scripts.core.errors import UserError

SCRIPT, STYLE = "datatables.js", "datatables.css"


def files() -> dict[str, str]:
    """Return the script and the style by file name; `UserError` without itables.

    The script sets `window.dataTables`, a promise of the module: browsers load no modules from `file://`.
    """
    package = importlib.util.find_spec("itables")
    if package is None or package.origin is None:
        raise UserError("the package itables is missing: run pip install -c constraints.txt itables")
    folder = Path(package.origin).parent / "html"
    source = json.dumps((folder / "dt_bundle.js").read_text(encoding="utf-8"))
    script = f'window.dataTables = import(URL.createObjectURL(new Blob([{source}], {{ type: "text/javascript" }})));\n'
    return {SCRIPT: script, STYLE: (folder / "dt_bundle.css").read_text(encoding="utf-8")}
