"""Draw the figure of each study (svg, pdf, png) and write its numbers (csv). Equal statistics give equal bytes."""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.configuration.study import FigureChoice
from workflow_scripts.core.cli import add_studies, results_parser
from workflow_scripts.core.errors import run_command
from workflow_scripts.core.files import write_text
from workflow_scripts.levels import registry
from workflow_scripts.planning.manifest import Study, read_manifest
from workflow_scripts.report import labels, plotting
from workflow_scripts.report.figure_inputs import Evidence, Statistics


def main(argv: list[str] | None = None) -> None:
    """Draw the figures of all studies that have one."""
    parser = results_parser("draw", __doc__)
    add_studies(parser)
    parser.add_argument("--output", type=Path, required=True, help="folder to write to (results/figures)")
    arguments = parser.parse_args(argv)

    manifest = read_manifest(arguments.manifest)
    labels.use_labels_of(manifest)
    statistics = Statistics(arguments.statistics)
    arguments.output.mkdir(parents=True, exist_ok=True)
    for study in manifest.select(arguments.study):
        if study.figure:
            evidence = Evidence(study=study, manifest=manifest, statistics=statistics)
            draw(study, study.figure, evidence, folder=arguments.output)


def draw(study: Study, figure: FigureChoice, evidence: Evidence, *, folder: Path) -> None:
    """Write the figure and the numbers of one study to `folder`; `UserError` for an unknown kind or option."""
    level = registry.load("figure", figure.kind)
    options = registry.options(level, figure.options)
    numbers = level.numbers(study, evidence, options)
    drawn = plotting.apply_style(lambda: level.draw(study, numbers, options))
    write_text(folder / f"{study.name}.csv", numbers.to_csv(index=False, lineterminator="\n"))
    for ending in plotting.METADATA:
        plotting.save(drawn, folder / f"{study.name}.{ending}")


if __name__ == "__main__":
    run_command(main)
