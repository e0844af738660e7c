"""Decode a data set into one flat memory map.

    python -m workflow_scripts.prepare --config JSON --code DIGEST --acquired FILE --output DIR [--threads N]

Writes `audio.int16`, `clips.parquet`, `labels.parquet`, `quarantine.csv`, `corpus.json` and `record.json`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.audio.build import CorpusSpec, build_corpus
from workflow_scripts.configuration.jobs.prepare import PrepareConfig
from workflow_scripts.core import result_files
from workflow_scripts.core.cli import job_parser
from workflow_scripts.core.errors import run_command
from workflow_scripts.core.files import hold_lock, hold_output, write_json
from workflow_scripts.core.provenance import Record
from workflow_scripts.levels import registry
from workflow_scripts.sources.acquisition import LOCK, read_acquisition


def main(argv: list[str] | None = None) -> None:
    """Prepare one corpus, with locks on the data set, which must not change, and on the corpus. Raises `UserError`."""
    arguments = _parser().parse_args(argv)
    record = Record(config=arguments.config.to_plain(), code=arguments.code)
    data = arguments.acquired.parent
    with hold_lock(data / LOCK, name=str(data), shared=True), hold_output(arguments.output):
        _prepare(arguments, arguments.config, record)


def _prepare(arguments: argparse.Namespace, config: PrepareConfig, record: Record) -> None:
    for partial in arguments.output.glob(".*.partial*"):  # of killed jobs: as large as the corpus
        partial.unlink()
    acquired = read_acquisition(arguments.acquired, source=config.source, job_digest=config.acquisition_digest)
    loader = registry.load("dataset", config.loader)
    index = loader.index(acquired.root, registry.options(loader, config.options))
    facts = build_corpus(
        index,
        root=acquired.root,
        output=arguments.output,
        spec=CorpusSpec(
            dataset=config.dataset,
            source=acquired.source,
            sample_rate=config.sample_rate,
            clip_seconds=config.clip_seconds,
            files=acquired.digest,
        ),
        processes=arguments.threads,
    )
    content = record.content(data={facts.dataset: facts.digest}, device="cpu", acquired=acquired.digest)
    write_json(arguments.output / result_files.RECORD, content)


def _parser() -> argparse.ArgumentParser:
    parser = job_parser("prepare", __doc__, config=PrepareConfig.from_json, output="folder of the corpus", threads=1)
    parser.add_argument("--acquired", required=True, type=Path, help="acquired.json of the data set")
    return parser


if __name__ == "__main__":
    run_command(main)
