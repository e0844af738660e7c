"""Compute a run's loss weights from the first losses of the run with another weighting, such as `equal`.

    python -m workflow_scripts.weigh --config JSON --code DIGEST --corpus DIR --source DIR --output FILE
        [--features WORKER=FILE ...] [--threads N]

`--source` is the output folder of the run whose losses are used. If that run has finished, or has trained the needed
epochs, its losses are read. Otherwise its first epochs are trained now, and it resumes from them if it is planned.
Writes the weights as FILE, which `pretrain` reads, and the record weigh.json in the same folder.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.audio.planned_inputs import require_planned_inputs
from workflow_scripts.configuration.jobs.weigh import WeighConfig
from workflow_scripts.core import files, provenance, result_files
from workflow_scripts.core.checksums import checksums, read_record, write_record
from workflow_scripts.core.cli import job_parser
from workflow_scripts.core.errors import NOTE, UserError, format_message, run_command
from workflow_scripts.levels import registry
from workflow_scripts.pretraining import distributed
from workflow_scripts.pretraining.device import best_device, device_name, use_threads
from workflow_scripts.pretraining.interruption import EXIT_INTERRUPTED, InterruptedRunError
from workflow_scripts.pretraining.loss_log import LossLog, LossRow
from workflow_scripts.pretraining.loss_weights import read_losses, require_positive, validation_losses
from workflow_scripts.pretraining.run import Pretraining, parse_named_file
from workflow_scripts.pretraining.training_state import StateFile


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Losses of the first epochs, and their origin."""

    rows: Sequence[LossRow]
    origin: str


def main(argv: list[str] | None = None) -> None:
    """Compute the weights of one run."""
    arguments = _parser().parse_args(argv)
    config: dict[str, Any] = arguments.config.to_plain()
    use_threads(arguments.threads)
    record = provenance.Record(config=config, code=arguments.code)
    arguments.config.run.require_planned(config["code"], command="pretrain")
    level = registry.load("weighting", config["weighting"]["name"])
    options = registry.options(level, config["weighting"].get("options", {}))
    with distributed.process_group(best_device()) as device:
        corpus, features = Corpus(arguments.corpus), dict(arguments.features)
        require_planned_inputs(config["code"], corpora=[corpus], results=[*features.values()])
        run = Pretraining(
            config=config["run"],
            corpus=corpus,
            features=features,
            output=arguments.output.with_suffix(""),
            code=config["code"],
            device=device,
        )
        epochs = min(options.epochs, run.recipe.epochs)
        if not run.recipe.validation_batches:
            raise UserError("weights need validation losses: set the recipe's validation_batches above 0")
        losses = _losses(run, arguments.source, epochs)
        if not distributed.is_main_process():
            return
        by_worker = validation_losses(losses.rows, epochs=epochs)
        weights = level.weights(by_worker)
        require_positive(weights)
        files.write_json(arguments.output, {"weights": weights})
        data = {run.corpus.facts.dataset: run.corpus.facts.digest}
        more = {"weights": weights, "losses": by_worker, "epochs": epochs, "losses_origin": losses.origin}
        content = record.content(data=data, device=device_name(run.device), **more)
        record_file = arguments.output.with_name(result_files.LOSS_WEIGHTS_RECORD)
        write_record(record_file, content, files=checksums(arguments.output))
        run.state_file.remove()


def _losses(run: Pretraining, source: Path, epochs: int) -> Losses:
    try:
        losses = _read_finished(run, source) or _read_unfinished(run, source, epochs)
        if losses is None:
            _note_others(source / result_files.LOSSES)
        return losses or _train(run, source, epochs)
    except InterruptedRunError as interrupted:
        if distributed.is_main_process():
            print(format_message(interrupted), file=sys.stderr, flush=True)
        sys.exit(EXIT_INTERRUPTED)


def _note_others(losses: Path) -> None:
    """Note that losses are there but of no use to this run."""
    if distributed.is_main_process() and losses.exists():
        note = f"{NOTE}{losses} is damaged, or of another run or an older plan: losses are computed again"
        print(format_message(note), file=sys.stderr)


def _read_finished(run: Pretraining, source: Path) -> Losses | None:
    """Return the losses of the run if it has finished with this code, config and data."""
    try:
        record = read_record(source / result_files.RECORD)
    except UserError:  # none, or a damaged one
        return None
    recorded = (
        record.get("code"),
        record.get("config_digest"),
        record.get("data", {}).get(run.corpus.facts.dataset),
    )
    if recorded != (run.code, provenance.digest(run.config), run.corpus.facts.digest):
        return None
    return Losses(rows=read_losses(source / result_files.LOSSES), origin="finished run")


def _read_unfinished(run: Pretraining, source: Path, epochs: int) -> Losses | None:
    """Return the losses of the run if it was stopped, or is still running, after the last of these epochs."""
    saved = StateFile(source, run.digest()).load(run.device)
    rows = LossLog.from_state(saved["loss_log"]).rows if saved else []
    return Losses(rows=rows, origin="run in progress") if any(row.epoch >= epochs for row in rows) else None


def _train(run: Pretraining, source: Path, epochs: int) -> Losses:
    """Train the first epochs, resuming the run if it was stopped; the run resumes from the state after them."""
    state = StateFile(source, run.digest())
    before = state.steps_done()
    if distributed.is_main_process() and before > run.state_file.steps_done():
        state.copy_to(run.state_file)
    distributed.barrier()
    outcome = run.build_trainer().run(epochs=epochs)
    if distributed.is_main_process() and outcome.steps > before and _read_finished(run, source) is None:
        run.state_file.copy_to(state)
    return Losses(rows=outcome.loss_log.rows, origin="first epochs, trained by this job")


def _parser() -> argparse.ArgumentParser:
    output = "weights.json to write"
    parser = job_parser("weigh", __doc__, config=WeighConfig.from_json, output=output, threads=0)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of the corpus")
    parser.add_argument(
        "--features", type=parse_named_file, action="append", default=[], metavar="WORKER=FILE", help="stored targets"
    )
    parser.add_argument("--source", type=Path, required=True, help="folder of the run whose losses are used")
    return parser


if __name__ == "__main__":
    run_command(main)
