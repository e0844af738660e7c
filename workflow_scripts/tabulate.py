"""Write the table of each study (csv, md, tex, html) and its comparisons (csv); `index.md` lists all tables.

The folder `latex` holds the comparisons, secondary tables and notes of each study as LaTeX, one file each.

`reproduction.csv`, `.md`, `.tex` and `.html` compare every published number and claim with ours. `separation.csv` holds
the separation quality, in dB, of the encoders that learn to separate sources. Equal statistics give equal bytes.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from workflow_scripts.core.cli import add_studies, results_parser
from workflow_scripts.core.csv_files import csv_text
from workflow_scripts.core.errors import run_command
from workflow_scripts.core.escapes import markdown_line
from workflow_scripts.core.files import write_text
from workflow_scripts.core.provenance import require_planned_code
from workflow_scripts.planning.layout import STATISTICS_FILES
from workflow_scripts.planning.manifest import Study, read_manifest
from workflow_scripts.report import (
    failures,
    labels,
    reproduction_render,
    reproduction_table,
    separation,
    study_table,
    table_files,
)
from workflow_scripts.statistics.reproduction.table import read_reproduction
from workflow_scripts.statistics.tables.schema import read_tables

SEPARATION = "separation.csv"


def main(argv: list[str] | None = None) -> None:
    """Write the tables of all studies."""
    parser = results_parser("tabulate", __doc__)
    add_studies(parser)
    parser.add_argument("--output", type=Path, required=True, help="folder to write to (results/tables)")
    arguments = parser.parse_args(argv)
    require_planned_code(arguments.code, "tabulate")

    manifest = read_manifest(arguments.manifest, statistics=arguments.statistics)
    labels.use_labels_of(manifest)
    numbers, separation_table = read_tables(arguments.statistics), separation.tidy(manifest)
    (arguments.output / table_files.LATEX).mkdir(parents=True, exist_ok=True)  # also if all tables fail
    for study in manifest.select(arguments.study):
        shutil.rmtree(arguments.output / table_files.LATEX / study.name, ignore_errors=True)  # parts that are no more
        _write_table(study, numbers, arguments.statistics, arguments.output)
    published = read_reproduction(arguments.statistics / STATISTICS_FILES["reproduction"])
    reproduction = reproduction_table.build(published)
    texts = {
        "csv": csv_text(reproduction_table.tidy(published)),
        "md": reproduction_render.markdown(reproduction),
        "tex": reproduction_render.latex(reproduction),
        "html": reproduction_render.html(reproduction),
    }
    for kind, text in texts.items():
        write_text(arguments.output / f"reproduction.{kind}", text)
    if separation_table is not None:
        write_text(arguments.output / SEPARATION, csv_text(separation_table))
    write_text(arguments.output / "index.md", _index(manifest.studies, has_separation=separation_table is not None))


def _write_table(study: Study, numbers: Mapping[str, pd.DataFrame], statistics: Path, folder: Path) -> None:
    """Write the files of a study's table; a reason is in place of one that fails."""
    table = failures.attempt(partial(_build, study, numbers, statistics), name=f"the table of {study.name}")
    for name, text in table_files.write_texts(study, numbers, table).items():
        write_text(folder / name, text)


def _build(study: Study, numbers: Mapping[str, pd.DataFrame], statistics: Path) -> study_table.Table:
    failures.require_computed(study.name, statistics)
    return study_table.build(study, numbers)


def _index(studies: tuple[Study, ...], *, has_separation: bool) -> str:
    """Return a list of all tables with links."""
    tables = [*((study.title, study.name) for study in studies), (reproduction_table.TITLE, "reproduction")]
    lines = [
        f"- {markdown_line(title)}: " + ", ".join(f"[{kind}]({name}.{kind})" for kind in ("md", "html", "tex", "csv"))
        for title, name in tables
    ]
    if has_separation:
        lines.append(f"- Separation quality: [csv]({SEPARATION})")
    return "\n".join(["# Tables", "", *lines]) + "\n"


if __name__ == "__main__":
    run_command(main)
