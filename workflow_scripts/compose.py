"""Compose the report: a folder of static pages with every study, the data, the costs and the versions.

It needs no network and opens from a disk, a web server or an archive. Equal results give equal bytes.

With `--add OTHER/results` the finished evaluations of another machine that this plan has, and that are missing here,
are copied to these results first, and statistics, tables and figures are computed again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from workflow_scripts import aggregate, draw, tabulate
from workflow_scripts.core.cli import results_parser
from workflow_scripts.core.errors import NOTE, format_message, run_command
from workflow_scripts.core.files import write_text
from workflow_scripts.core.provenance import require_planned_code
from workflow_scripts.levels import registry
from workflow_scripts.planning.added_results import add_results
from workflow_scripts.planning.layout import STATISTICS_FILES
from workflow_scripts.planning.manifest import read_manifest
from workflow_scripts.report import labels
from workflow_scripts.report.figure_inputs import Statistics
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.site.site import write_site

TABLES = "tables"  # folder of tables, beside that of the statistics


def main(argv: list[str] | None = None) -> None:
    """Write the report."""
    parser = results_parser("compose", __doc__)
    parser.add_argument("--figures", type=Path, required=True, help="folder written by draw")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to (results/report)")
    parser.add_argument(
        "--add", type=Path, action="append", default=[], metavar="RESULTS",
        help="results of another machine to add (repeatable); refused where code, config or data differ",
    )  # fmt: skip
    arguments = parser.parse_args(argv)
    if arguments.add:
        _add(arguments)
    manifest = read_manifest(arguments.manifest, statistics=arguments.statistics)
    kinds = (study.figure.kind for study in manifest.studies if study.figure)
    require_planned_code(arguments.code, "compose", chosen=[registry.module_name("figure", kind) for kind in kinds])
    labels.use_labels_of(manifest)
    statistics = Statistics(arguments.statistics)
    inputs = ReportInputs(manifest=manifest, statistics=statistics, figures=arguments.figures)
    if any(study.figure for study in manifest.studies) and not arguments.figures.is_dir():
        note = (
            f"{NOTE}{arguments.figures}: no such folder, so the pages have no figures; correct --figures, or run draw"
        )
        print(format_message(note), file=sys.stderr)
    write_site(arguments.output, inputs)


def _add(arguments: argparse.Namespace) -> None:
    """Add the results of other machines, and compute again what is computed from all results."""
    manifest = read_manifest(arguments.manifest)
    for line in add_results(manifest, arguments.add):
        print(format_message(f"{NOTE}{line}"), file=sys.stderr)
    statistics: Path = arguments.statistics
    plan = statistics / STATISTICS_FILES["manifest"]
    read = ["--manifest", str(plan), "--statistics", str(statistics)]
    aggregate.main(["--manifest", arguments.manifest, "--output", str(statistics)])
    if Path(arguments.manifest) != plan:
        write_text(plan, Path(arguments.manifest).read_text(encoding="utf-8"))
    tabulate.main([*read, "--output", str(statistics.with_name(TABLES))])
    draw.main([*read, "--output", str(arguments.figures)])


if __name__ == "__main__":
    run_command(main)
