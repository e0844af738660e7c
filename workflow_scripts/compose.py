"""Compose the report: a folder of static pages with every study, the data, the costs and the versions.

It needs no network and opens from a disk, a web server or an archive. Equal results give equal bytes.
"""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.core.cli import results_parser
from workflow_scripts.core.errors import run_command
from workflow_scripts.core.provenance import require_planned_code
from workflow_scripts.levels import registry
from workflow_scripts.planning.manifest import read_manifest
from workflow_scripts.report import labels
from workflow_scripts.report.figure_inputs import Statistics
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.site.site import write_site


def main(argv: list[str] | None = None) -> None:
    """Write the report."""
    parser = results_parser("compose", __doc__)
    parser.add_argument("--figures", type=Path, required=True, help="folder written by draw")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to (results/report)")
    arguments = parser.parse_args(argv)
    manifest = read_manifest(arguments.manifest, statistics=arguments.statistics)
    kinds = (study.figure.kind for study in manifest.studies if study.figure)
    require_planned_code(arguments.code, "compose", chosen=[registry.module_name("figure", kind) for kind in kinds])
    labels.use_labels_of(manifest)
    statistics = Statistics(arguments.statistics)
    inputs = ReportInputs(manifest=manifest, statistics=statistics, figures=arguments.figures)
    write_site(arguments.output, inputs)


if __name__ == "__main__":
    run_command(main)
