"""Evaluate cells of one run and data set on its embeddings, which are loaded once; each cell as `evaluate` does it.

    python -m workflow_scripts.evaluate_embeddings --config JSON --code DIGEST --corpus DIR --embeddings FILE.npy
        --output RUN/DATASET/cells0.json [--former FILE] [--threads N]

The config states the `cells`: `folder` below that of the output, `code` and `config` of each. A cell whose files are
there, unchanged, and from the same code, config and inputs is kept, so a job that was killed goes on behind its
finished cells. A cell that fails does not stop the others; the command then fails at its end. Otherwise it writes the
list of finished cells, and removes the one before, `--former`.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

import torch

from workflow_scripts.configuration.jobs.evaluate_embeddings import EvaluateEmbeddingsConfig, PlannedEvaluation
from workflow_scripts.core import result_files
from workflow_scripts.core.cli import job_parser
from workflow_scripts.core.errors import NOTE, TemporaryError, UserError, format_message, run_command
from workflow_scripts.evaluate import EvaluationInputs, evaluate, is_finished
from workflow_scripts.planning.cell_lists import write_cell_list


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    arguments = _parser().parse_args(argv)
    config: EvaluateEmbeddingsConfig = arguments.config
    torch.set_num_threads(arguments.threads)
    folder = arguments.output.parent
    inputs = EvaluationInputs(folder=arguments.corpus, embeddings=arguments.embeddings)
    unfinished = [
        cell
        for cell in config.cells
        if not is_finished(cell.config, code=cell.code, inputs=inputs, output=folder / cell.folder)
    ]
    if unfinished:  # what would fail each cell fails the job before any cell is touched
        inputs.require_planned(unfinished[0].code)
        _ = inputs.crops  # reads the embeddings
    failures: dict[str, Exception] = {}
    for cell in unfinished:
        try:
            _evaluate(cell, inputs, folder / cell.folder)
        except Exception as error:  # of one cell: the others are evaluated all the same
            failures[cell.folder] = error
            reason = error if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            # a note, because the job goes on; at once, because it may be killed
            print(format_message(f"{NOTE}{cell.folder}: {reason}"), file=sys.stderr, flush=True)
    if failures:
        raise _summarise(failures, cells=len(config.cells))
    if arguments.former:
        arguments.former.unlink(missing_ok=True)  # first: a plan expects one list at most
    write_cell_list(arguments.output)


def _evaluate(cell: PlannedEvaluation, inputs: EvaluationInputs, output: Path) -> None:
    """Evaluate a cell; files of an older plan are removed first, the record before what it states."""
    for name in (result_files.RECORD, result_files.TRIALS, result_files.PREDICTIONS, result_files.VALIDATION):
        (output / name).unlink(missing_ok=True)
    evaluate(cell.config, code=cell.code, inputs=inputs, output=output)


def _summarise(failures: Mapping[str, Exception], *, cells: int) -> Exception:
    """Return the error that ends the job: one about all cells, or that of one cell if it is no `UserError`."""
    others = [error for error in failures.values() if not isinstance(error, UserError)]
    if others:
        for error in others[1:]:
            traceback.print_exception(error)
        return others[0]
    kind = TemporaryError if any(isinstance(error, TemporaryError) for error in failures.values()) else UserError
    reasons = "; ".join(f"{folder}: {error}" for folder, error in failures.items())
    return kind(f"{len(failures)} of {cells} cells failed: {reasons}")


def _parser() -> argparse.ArgumentParser:
    parser = job_parser(
        "evaluate_embeddings",
        __doc__,
        config=EvaluateEmbeddingsConfig.from_json,
        output="list of finished cells, in the folder of the data set",
        threads=1,
    )
    parser.add_argument("--corpus", required=True, type=Path, help="folder of the corpus")
    parser.add_argument("--embeddings", required=True, type=Path, help=".npy written by embed")
    parser.add_argument("--former", type=Path, help="list before, under the other name")
    return parser


if __name__ == "__main__":
    run_command(main)
