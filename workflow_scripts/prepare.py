"""Decode a data set into one flat memory-map: `python -m workflow_scripts.prepare`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from workflow_scripts.audio.build import CorpusSpec, build_corpus
from workflow_scripts.core.errors import run_command
from workflow_scripts.core.files import hold_lock, write_json
from workflow_scripts.core.provenance import Record
from workflow_scripts.levels import registry
from workflow_scripts.sources.acquisition import LOCK, read_acquisition


def main(argv: list[str] | None = None) -> None:
    """Write `audio.int16`, `clips.parquet`, `labels.parquet`, `quarantine.csv`, `corpus.json` and `record.json`.

    The config states `dataset`, `loader`, `options`, `sample_rate`, `clip_seconds`, `source` and `acquired`, the digest
    of the job that acquired the data. These do not change while they are read, and nobody else writes the corpus.
    Raises `UserError`.
    """
    arguments = _arguments(argv)
    config: dict[str, Any] = json.loads(arguments.config)
    record = Record(config=config, code=arguments.code)
    data, output = arguments.acquired.parent, arguments.output
    output.parent.mkdir(parents=True, exist_ok=True)
    with (
        hold_lock(data / LOCK, what=str(data), shared=True),
        hold_lock(output.with_name(f".{output.name}.lock"), what=str(output)),
    ):
        _prepare(arguments, config, record)


def _prepare(arguments: argparse.Namespace, config: dict[str, Any], record: Record) -> None:
    for left in arguments.output.glob(".*.partial*"):  # by killed jobs: as large as the corpus, and nobody else writes
        left.unlink()
    acquired = read_acquisition(arguments.acquired, source=config.get("source"), job_digest=config.get("acquired"))
    loader = registry.load("dataset", config["loader"])
    index = loader.index(acquired.root, registry.options(loader, config.get("options") or {}))
    facts = build_corpus(
        index,
        root=acquired.root,
        output=arguments.output,
        spec=CorpusSpec(
            dataset=config["dataset"],
            source=acquired.source,
            sample_rate=config["sample_rate"],
            clip_seconds=config.get("clip_seconds"),
            files=acquired.digest,
        ),
        processes=arguments.threads,
    )
    content = record.content(data={facts.dataset: facts.digest}, device="cpu", acquired=acquired.digest)
    write_json(arguments.output / "record.json", content)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="workflow_scripts.prepare", description=__doc__)
    parser.add_argument("--config", required=True, help="what this job reads, as JSON")
    parser.add_argument("--code", required=True, help="digest of this job's code, for its record")
    parser.add_argument("--acquired", required=True, type=Path, help="acquired.json of the data set")
    parser.add_argument("--output", required=True, type=Path, help="folder of the corpus")
    parser.add_argument("--threads", type=int, default=1, help="decoding processes")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_command(main)
