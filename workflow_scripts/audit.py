"""Look for clips of a data set that are not new where it tests on them: `python -m workflow_scripts.audit`.

Compares a prepared data set with itself, across its splits, and with the corpora that encoders are pre-trained on.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.core.files import write_json, write_text
from workflow_scripts.core.provenance import Record
from workflow_scripts.leakage.overlaps import KINDS, Audit, AuditedCorpus, Catalogue, Overlap

COLUMNS = [field.name for field in dataclasses.fields(Overlap)]


def main(argv: list[str] | None = None) -> None:
    """Write all overlaps (csv), and beside it their numbers and the record (json, written last).

    The config states `dataset`, `pretraining` (names of the other corpora) and `catalogues` (by name of the data set:
    name and pattern, or null). Raises `UserError`.
    """
    arguments = _arguments(argv)
    config: dict[str, Any] = json.loads(arguments.config)
    record = Record(config=config, code=arguments.code)
    dataset, *pretraining = [_audited(folder, config) for folder in [arguments.corpus, *arguments.pretraining]]
    found = [dataset.name, *(corpus.name for corpus in pretraining)]
    if found != (wanted := [config["dataset"], *config["pretraining"]]):
        raise UserError(f"audit: the corpora given are {', '.join(found)}, not {', '.join(wanted)}: give them in order")
    audit = Audit(dataset, threads=arguments.threads)
    compared = [(dataset, audit.find_within()), *((corpus, audit.find_across(corpus)) for corpus in pretraining)]
    overlaps = [overlap for _, each in compared for overlap in each]
    rows = [dataclasses.asdict(overlap) for overlap in sorted(overlaps, key=lambda overlap: not overlap.leak)]
    arguments.output.unlink(missing_ok=True)
    table = pd.DataFrame(rows, columns=COLUMNS)
    write_text(
        arguments.output.with_suffix(".csv"), table.to_csv(index=False, lineterminator="\n", float_format="%.3f")
    )
    content = record.content(
        data={each.name: each.corpus.facts.digest for each, _ in compared},
        device="cpu",
        dataset=dataset.name,
        clips=len(dataset.clips),
        too_short=audit.index.too_short,
        leaks=sum(overlap.leak for overlap in overlaps),
        comparisons=[_counts(corpus, each) for corpus, each in compared],
    )
    write_json(arguments.output, content)


def _audited(folder: Path, config: dict[str, Any]) -> AuditedCorpus:
    corpus = Corpus(folder)
    stated = config["catalogues"].get(corpus.facts.dataset)
    return AuditedCorpus(corpus, catalogue=Catalogue(name=stated[0], pattern=stated[1]) if stated else None)


def _counts(corpus: AuditedCorpus, overlaps: list[Overlap]) -> dict[str, object]:
    """How many overlaps of each kind there are, and how many of them are leaks."""
    return {
        "corpus": corpus.name,
        "source": corpus.corpus.facts.source,
        "overlaps": {kind: sum(overlap.kind == kind for overlap in overlaps) for kind in KINDS},
        "leaks": {kind: sum(overlap.kind == kind and overlap.leak for overlap in overlaps) for kind in KINDS},
    }


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="workflow_scripts.audit", description=__doc__)
    parser.add_argument("--config", required=True, help="what this job reads, as JSON")
    parser.add_argument("--code", required=True, help="digest of this job's code, for its record")
    parser.add_argument("--corpus", required=True, type=Path, help="folder of the data set's corpus")
    parser.add_argument(
        "--pretraining", action="append", default=[], type=Path, help="folder of another corpus (repeatable)"
    )
    parser.add_argument("--output", required=True, type=Path, help="numbers to write, ending in .json")
    parser.add_argument("--threads", type=int, default=1, help="threads")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_command(main)
