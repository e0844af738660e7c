"""Records of results that tests write or edit by hand."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.core import checksums, result_files
from workflow_scripts.core.errors import UserError

SEALED = (".json", ".npy", ".npz", ".parquet", ".safetensors")
TABLES = (result_files.TRIALS, result_files.VALIDATION, result_files.LOSSES, result_files.QUARANTINE)


def seal(*paths: Path, record: Path | None = None, **content: Any) -> None:
    """Write the checksums of results into their record, as if their job had written them like this.

    `content` are entries of the record, beside those that it has.
    """
    record = record or result_files.record_of(paths[0])
    of_corpus = record.name == result_files.CORPUS_FACTS
    before: dict[str, Any] = {} if of_corpus else {"code": "c0de", "config_digest": "c0f19", "data": {}}
    if record.is_file():
        before = json.loads(record.read_text(encoding="utf-8"))
    files = before.pop(checksums.CHECKSUMS, {})
    files = {name: value for name, value in files.items() if record.with_name(name).exists()}
    files |= checksums.checksums(*(path for path in paths if path != record))
    checksums.write_record(record, before | content, files=files)


def seal_all(folder: Path) -> None:
    """Make the records of all results below a folder true after a test wrote, edited or deleted some by hand.

    Statistics and what is drawn and reported of them are left out.
    """
    reports = {path.parent for path in folder.rglob("summary.schema.json")}
    by_record: dict[Path, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        is_result = path.suffix in SEALED or path.name in TABLES
        of_statistics = path.name == "plan.json" or path.with_name("summary.json").exists()
        of_statistics = of_statistics or not reports.isdisjoint(path.parents)
        if is_result and path.is_file() and not of_statistics and not path.with_suffix(".svg").exists():
            by_record.setdefault(result_files.record_of(path), []).append(path)
    for record, paths in by_record.items():
        of_no_corpus = record.name == result_files.CORPUS_FACTS and not record.exists()
        if not of_no_corpus and not _is_true(record, paths):
            with contextlib.suppress(ValueError, TypeError):  # a record that is damaged on purpose
                seal(*paths)


def _is_true(record: Path, paths: Sequence[Path]) -> bool:
    results = [path for path in paths if path != record]
    try:
        recorded = {*checksums.read_record(record)[checksums.CHECKSUMS]} - {checksums.OWN}
        for path in results:
            checksums.require_unchanged(path)
    except UserError:
        return False
    return recorded == {path.name for path in results}
