"""Draw each study's figure as svg, pdf and png. Same statistics, same bytes."""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.errors import run_command
from workflow_scripts.report import figures, tables
from workflow_scripts.statistics.plan import read_plan
from workflow_scripts.statistics.summary import read_table


def main(argv: list[str] | None = None) -> None:
    """Command line of the rule `draw`; a study without a figure is left out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--plan", required=True, help='expected evaluations and studies (JSON file, "-": standard input)'
    )
    parser.add_argument("--statistics", type=Path, required=True, help="folder written by aggregate")
    parser.add_argument("--study", action="append", default=[], help="only this study (repeatable; default: all)")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to (results/figures)")
    arguments = parser.parse_args(argv)

    plan = read_plan(arguments.plan)
    entries = read_table(arguments.statistics / "entries.csv")
    comparisons = read_table(arguments.statistics / "comparisons.csv")
    arguments.output.mkdir(parents=True, exist_ok=True)
    for study in plan.chosen(arguments.study):
        if study.figure:
            table = tables.build(study, entries=entries, comparisons=comparisons)
            figure = figures.draw(table, kind=study.figure)
            for kind in figures.METADATA:
                figures.save(figure, arguments.output / f"{study.name}.{kind}")


if __name__ == "__main__":
    run_command(main)
