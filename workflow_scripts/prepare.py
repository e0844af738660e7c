"""Decode a data set into one flat memory map.

    python -m workflow_scripts.prepare --config JSON --code DIGEST --acquired FILE --output DIR [--threads N]

Writes `audio.int16`, `clips.parquet`, `labels.parquet`, `quarantine.csv`, `corpus.json` and `record.json`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from workflow_scripts.audio.build import CorpusSpec, build_corpus
from workflow_scripts.configuration.jobs.prepare import PrepareConfig
from workflow_scripts.core import result_files
from workflow_scripts.core.checksums import checksums, write_record
from workflow_scripts.core.cli import job_parser
from workflow_scripts.core.errors import run_command
from workflow_scripts.core.files import hold_lock, hold_output
from workflow_scripts.core.provenance import Record
from workflow_scripts.levels import registry
from workflow_scripts.levels.dataset_index import DatasetIndex
from workflow_scripts.sources.acquisition import LOCK, read_acquisition
from workflow_scripts.sources.inventory import require_unchanged_copy
from workflow_scripts.sources.listing import list_folder
from workflow_scripts.sources.stated_checksums import describe_differences


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
    require_unchanged_copy(arguments.acquired, root=acquired.root)
    loader = registry.load("dataset", config.loader)
    index = loader.index(acquired.root, registry.options(loader, config.options))
    notes = _describe_copy(acquired.root, index) if acquired.source == "local" else []
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
            notes=tuple(filter(None, notes)),
        ),
        processes=arguments.threads,
    )
    require_unchanged_copy(arguments.acquired, root=acquired.root)  # nor while they were decoded
    for note in facts.notes:
        print(f"{facts.dataset}: {note}", file=sys.stderr, flush=True)
    content = record.content(data={facts.dataset: facts.digest}, device="cpu", acquired=acquired.digest)
    facts_file = arguments.output / result_files.CORPUS_FACTS
    write_record(arguments.output / result_files.RECORD, content, files=checksums(facts_file))


def _describe_copy(root: Path, index: DatasetIndex) -> list[str]:
    """Describe the files of a local data set that are neither clips nor listed as unusable, and those that differ."""
    paths = (index.clips["path"], index.excluded["clip"], *(pd.Series(stem.paths) for stem in index.stems.values()))
    unused = list_folder(root).describe_unused({str(path) for column in paths for path in column})
    return [f"files that no clip uses: {unused}" if unused else "", describe_differences(root, index.md5)]


def _parser() -> argparse.ArgumentParser:
    parser = job_parser("prepare", __doc__, config=PrepareConfig.from_json, output="folder of the corpus", threads=1)
    parser.add_argument("--acquired", required=True, type=Path, help="acquired.json of the data set")
    return parser


if __name__ == "__main__":
    run_command(main)
