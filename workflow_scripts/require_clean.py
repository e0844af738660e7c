"""Fail, with a list of the leaks, if an audit found any that a study forbids.

python -m workflow_scripts.require_clean --audit FILE.json --study NAME [--study NAME ...] --output FILE
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from workflow_scripts.audio.planned_inputs import require_planned_inputs
from workflow_scripts.core.checksums import read_record, require_unchanged
from workflow_scripts.core.cli import add_code, command_parser
from workflow_scripts.core.csv_files import read_rows
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.core.files import write_json
from workflow_scripts.core.provenance import require_planned_code

COLUMNS = ("leak", "kind", "clip", "split", "other_clip", "other_split", "other_corpus")
MAX_LEAKS = 10  # leaks in the message; the csv lists all


def main(argv: list[str] | None = None) -> None:
    """Write a file if the audit is clean; raise `UserError` with the leaks otherwise."""
    arguments = _parser().parse_args(argv)
    require_planned_code(arguments.code, "require_clean")
    require_planned_inputs(arguments.code, results=[arguments.audit])
    path = arguments.audit.with_suffix(".csv")
    audit = read_record(arguments.audit)
    dataset, leaks = audit["dataset"], audit["leaks"]
    require_unchanged(path, record=arguments.audit)
    if leaks:
        examples = _format_leaks([row for row in read_rows(path, COLUMNS) if row["leak"] == "True"])
        raise UserError(
            f"{dataset}: {', '.join(arguments.study)} demands a clean audit, which found leaks: "
            f"{leaks} ({examples}); all are in {path}; correct the data, or remove `audit: clean` from the study"
        )
    write_json(arguments.output, {"dataset": dataset, "leaks": 0, "studies": arguments.study})


def _format_leaks(leaks: Sequence[Mapping[str, str]]) -> str:
    lines = [
        f"{row['kind']}: {row['clip']} in {row['split']} and {row['other_clip']} in {row['other_split']}"
        f" of {row['other_corpus']}"
        for row in leaks[:MAX_LEAKS]
    ]
    return "; ".join([*lines, "..."] if len(leaks) > MAX_LEAKS else lines)


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("require_clean", __doc__)
    add_code(parser)
    parser.add_argument("--audit", required=True, type=Path, help="numbers that audit wrote")
    parser.add_argument("--study", action="append", required=True, help="study that requires it (repeatable)")
    parser.add_argument("--output", required=True, type=Path, help="file to write if there are no leaks")
    return parser


if __name__ == "__main__":
    run_command(main)
