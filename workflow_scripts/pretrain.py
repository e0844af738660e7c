"""Pre-train an encoder on a corpus with a set of workers.

    python -m workflow_scripts.pretrain --config JSON --code DIGEST --corpus DIR --output DIR
        [--features WORKER=FILE ...] [--weights FILE] [--threads N]

Writes encoder.safetensors, losses.csv and record.json into the output folder. A weighting that takes its weights from
another run needs `--weights`, written by `weigh`.

A run that was stopped or killed resumes from its training state, which is a file beside that folder. After SIGTERM,
SIGUSR1 or SIGINT it saves its state and ends with code 75.

Several processes share each batch of the recipe, with one GPU each where there are GPUs:

    torchrun --nproc-per-node N -m workflow_scripts.pretrain ...

Their result is that of one process except for rounding and for random draws: of augmentations, of layers and, where
predictive coding is trained beside contrastive workers, of negatives, since processes list both views of their clips
in another order. All of them must see the file system of the output folder. torchrun itself ends with code 1 if they
end with 75.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.audio.planned_inputs import require_planned_inputs
from workflow_scripts.configuration.jobs.pretrain import PretrainConfig
from workflow_scripts.core import provenance, result_files
from workflow_scripts.core.checksums import checksums, write_record
from workflow_scripts.core.cli import job_parser
from workflow_scripts.core.errors import format_message, run_command
from workflow_scripts.pretraining import distributed
from workflow_scripts.pretraining.device import best_device, device_name, use_threads
from workflow_scripts.pretraining.interruption import EXIT_INTERRUPTED, InterruptedRunError
from workflow_scripts.pretraining.loss_weights import read_weights
from workflow_scripts.pretraining.run import Pretraining, parse_named_file
from workflow_scripts.pretraining.trainer import Trainer, TrainingResult


def main(argv: list[str] | None = None) -> None:
    """Pre-train one encoder."""
    arguments = _parser().parse_args(argv)
    use_threads(arguments.threads)
    config = arguments.config.to_plain()
    record = provenance.Record(config=config, code=arguments.code)
    with distributed.process_group(best_device()) as device:
        corpus, features = Corpus(arguments.corpus), dict(arguments.features)
        results = [*features.values(), *([arguments.weights] if arguments.weights else [])]
        require_planned_inputs(arguments.code, corpora=[corpus], results=results)
        run = Pretraining(
            config=config,
            corpus=corpus,
            features=features,
            output=arguments.output,
            code=arguments.code,
            device=device,
            weights=None if arguments.weights is None else read_weights(arguments.weights),
        )
        trainer = run.build_trainer()
        try:
            outcome = trainer.run()
        except InterruptedRunError as interrupted:
            if distributed.is_main_process():
                print(format_message(interrupted), file=sys.stderr, flush=True)
            sys.exit(EXIT_INTERRUPTED)
        if distributed.is_main_process():
            _write(run, trainer, outcome, record)


def _write(run: Pretraining, trainer: Trainer, outcome: TrainingResult, record: provenance.Record) -> None:
    more = run.write_results(trainer, outcome)
    data = {run.corpus.facts.dataset: run.corpus.facts.digest}
    content = record.content(data=data, device=device_name(run.device), **more)
    files = checksums(*(run.output / name for name in (result_files.ENCODER, result_files.LOSSES)))
    write_record(run.output / result_files.RECORD, content, files=files)
    trainer.state_file.remove()


def _parser() -> argparse.ArgumentParser:
    output = "folder for encoder, losses and record"
    parser = job_parser("pretrain", __doc__, config=PretrainConfig.from_json, output=output, threads=0)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of the corpus")
    parser.add_argument(
        "--features", type=parse_named_file, action="append", default=[], metavar="WORKER=FILE", help="stored targets"
    )
    parser.add_argument("--weights", type=Path, help="loss weights of the workers, written by weigh (all 1)")
    return parser


if __name__ == "__main__":
    run_command(main)
