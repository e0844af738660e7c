"""Print the table and the comparisons of each study on the terminal, and the path of the report.

python -m workflow_scripts.show --manifest FILE --statistics DIR [--study NAME ...] [--report FILE]
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from workflow_scripts.core.cli import add_studies, results_parser
from workflow_scripts.core.console import PlainConsole
from workflow_scripts.core.errors import run_command
from workflow_scripts.planning.manifest import Study, read_manifest
from workflow_scripts.report import failures, labels, study_table
from workflow_scripts.report.renderers import terminal
from workflow_scripts.statistics.tables.schema import read_tables

PLAIN_WIDTH = 140  # in a log file: wide enough for a table of five data sets


def main(argv: list[str] | None = None) -> None:
    """Print the summary at the end of `make demo`."""
    parser = results_parser("show", __doc__)
    add_studies(parser)
    parser.add_argument("--report", type=Path, help="page whose path is printed last")
    arguments = parser.parse_args(argv)

    manifest = read_manifest(arguments.manifest, statistics=arguments.statistics)
    labels.use_labels_of(manifest)
    numbers = read_tables(arguments.statistics)
    console = PlainConsole(width=PLAIN_WIDTH)
    for study in manifest.select(arguments.study):
        failures.attempt(partial(_print_table, study, numbers, console), name=f"the table of {study.name}")
    if arguments.report:
        console.print(f"Report: {arguments.report}", markup=False, highlight=False, soft_wrap=True)


def _print_table(study: Study, numbers: Mapping[str, pd.DataFrame], console: PlainConsole) -> None:
    terminal.show(study_table.build(study, numbers), console)


if __name__ == "__main__":
    run_command(main)
