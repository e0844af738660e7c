"""Draw the figure of each study (svg, pdf, png), and write its numbers (csv) and the checksums of these files (json).

Equal statistics give equal bytes.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from workflow_scripts.configuration.study import FigureChoice
from workflow_scripts.core.checksums import checksums, write_record
from workflow_scripts.core.cli import add_studies, results_parser
from workflow_scripts.core.csv_files import csv_text
from workflow_scripts.core.errors import run_command
from workflow_scripts.core.files import write_text
from workflow_scripts.core.provenance import require_planned_code
from workflow_scripts.levels import registry
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.layout import FIGURE_FORMATS
from workflow_scripts.planning.manifest import Study, read_manifest
from workflow_scripts.report import failures, labels, plotting
from workflow_scripts.report.figure_inputs import Evidence, Statistics

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def main(argv: list[str] | None = None) -> None:
    """Draw the figures of all studies that have one."""
    parser = results_parser("draw", __doc__)
    add_studies(parser)
    parser.add_argument("--output", type=Path, required=True, help="folder to write to (results/figures)")
    arguments = parser.parse_args(argv)

    manifest = read_manifest(arguments.manifest, statistics=arguments.statistics)
    kinds = (study.figure.kind for study in manifest.studies if study.figure)
    require_planned_code(arguments.code, "draw", chosen=[registry.module_name("figure", kind) for kind in kinds])
    labels.use_labels_of(manifest)
    statistics = Statistics(arguments.statistics)
    arguments.output.mkdir(parents=True, exist_ok=True)
    chosen = [(study, *_kind(study.figure)) for study in manifest.select(arguments.study) if study.figure]
    for study, level, options in chosen:
        evidence = Evidence(study=study, manifest=manifest, statistics=statistics)
        write = partial(draw, study, level, options, evidence, folder=arguments.output)
        failure = failures.attempt(write, name=f"the figure of {study.name}")
        if failure is not None:
            figure = plotting.draw_failure(study, failure.reason)
            _write(study, failures.numbers(study.name, failure), figure, statistics, folder=arguments.output)


def _kind(figure: FigureChoice) -> tuple[Any, LevelOptions]:
    """Return the level and the options of a figure; `UserError` for an unknown kind or option."""
    level = registry.load("figure", figure.kind)
    return level, registry.options(level, figure.options)


def draw(study: Study, level: Any, options: LevelOptions, evidence: Evidence, *, folder: Path) -> None:
    """Write the figure and the numbers of one study to `folder`."""
    failures.require_computed(study.name, evidence.statistics.folder)
    numbers = level.numbers(study, evidence, options)
    drawn = plotting.draw_figure(lambda study, numbers: level.draw(study, numbers, options), study, numbers)
    _write(study, numbers, drawn, evidence.statistics, folder=folder)


def _write(study: Study, numbers: pd.DataFrame, figure: Figure, statistics: Statistics, *, folder: Path) -> None:
    paths = {ending: folder / f"{study.name}.{ending}" for ending in FIGURE_FORMATS}
    write_text(paths["csv"], csv_text(numbers))
    for ending in plotting.METADATA:
        plotting.save(figure, paths[ending])
    record = paths.pop("json")
    write_record(record, {"study": study.name, "statistics": statistics.digest}, files=checksums(*paths.values()))


if __name__ == "__main__":
    run_command(main)
