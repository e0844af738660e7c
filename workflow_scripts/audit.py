"""Search a data set for test clips that also occur in training or pre-training data.

    python -m workflow_scripts.audit --config JSON --code DIGEST --corpus DIR [--pretraining DIR ...]
        --output FILE.json [--threads N]

Compares the splits of a prepared data set with each other, and with the corpora that encoders are pre-trained on.
Writes all overlaps (csv) and, last, their numbers with the record (json).
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import pandas as pd

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.audio.planned_inputs import require_planned_inputs
from workflow_scripts.configuration.jobs.audit import AuditConfig
from workflow_scripts.core.checksums import checksums, write_record
from workflow_scripts.core.cli import job_parser
from workflow_scripts.core.csv_files import csv_text
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.core.files import write_text
from workflow_scripts.core.provenance import Record
from workflow_scripts.leakage.overlaps import KINDS, Audit, AuditedCorpus, Catalogue, Overlap

COLUMNS = [field.name for field in dataclasses.fields(Overlap)]


def main(argv: list[str] | None = None) -> None:
    """Audit one data set. Raises `UserError`."""
    arguments = _parser().parse_args(argv)
    config: AuditConfig = arguments.config
    record = Record(config=config.to_plain(), code=arguments.code)
    dataset, *pretraining = [_open_corpus(folder, config) for folder in [arguments.corpus, *arguments.pretraining]]
    corpora = [dataset.corpus, *(other.corpus for other in pretraining)]
    require_planned_inputs(arguments.code, corpora=corpora)
    names = [dataset.name, *(corpus.name for corpus in pretraining)]
    if names != (expected := [config.dataset, *config.pretraining]):
        raise UserError(
            f"audit: the corpora given are {', '.join(names)}, not {', '.join(expected)}: give them in order"
        )
    audit = Audit(dataset, threads=arguments.threads)
    comparisons = [(dataset, audit.find_within()), *((corpus, audit.find_across(corpus)) for corpus in pretraining)]
    overlaps = [overlap for _, overlaps_of_corpus in comparisons for overlap in overlaps_of_corpus]
    rows = [dataclasses.asdict(overlap) for overlap in sorted(overlaps, key=lambda overlap: not overlap.leak)]
    arguments.output.unlink(missing_ok=True)
    table = pd.DataFrame(rows, columns=COLUMNS)
    write_text(arguments.output.with_suffix(".csv"), csv_text(table, float_format="%.3f"))
    content = record.content(
        data={corpus.name: corpus.corpus.facts.digest for corpus, _ in comparisons},
        device="cpu",
        dataset=dataset.name,
        clips=len(dataset.clips),
        too_short=audit.index.too_short,
        leaks=sum(overlap.leak for overlap in overlaps),
        comparisons=[_count_overlaps(corpus, overlaps_of_corpus) for corpus, overlaps_of_corpus in comparisons],
    )
    write_record(arguments.output, content, files=checksums(arguments.output.with_suffix(".csv")))


def _open_corpus(folder: Path, config: AuditConfig) -> AuditedCorpus:
    corpus = Corpus(folder)
    catalogue = config.catalogues.get(corpus.facts.dataset)
    return AuditedCorpus(corpus, catalogue=Catalogue(name=catalogue[0], pattern=catalogue[1]) if catalogue else None)


def _count_overlaps(corpus: AuditedCorpus, overlaps: list[Overlap]) -> dict[str, object]:
    """Count the overlaps of each kind with a corpus, and those that are leaks."""
    return {
        "corpus": corpus.name,
        "source": corpus.corpus.facts.source,
        "overlaps": {kind: sum(overlap.kind == kind for overlap in overlaps) for kind in KINDS},
        "leaks": {kind: sum(overlap.kind == kind and overlap.leak for overlap in overlaps) for kind in KINDS},
    }


def _parser() -> argparse.ArgumentParser:
    output = "numbers to write (.json)"
    parser = job_parser("audit", __doc__, config=AuditConfig.from_json, output=output, threads=1)
    parser.add_argument("--corpus", required=True, type=Path, help="folder of the data set's corpus")
    parser.add_argument(
        "--pretraining", action="append", default=[], type=Path, help="folder of another corpus (repeatable)"
    )
    return parser


if __name__ == "__main__":
    run_command(main)
