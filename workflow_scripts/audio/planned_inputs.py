"""Comparison of the results that a job reads with those that it was planned to read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_scripts.core import provenance
from workflow_scripts.core.checksums import read_record, require_unchanged
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.result_files import CORPUS_FACTS, RECORD, file_to_delete, record_of

if TYPE_CHECKING:
    from workflow_scripts.audio.corpus import Corpus


def require_planned_inputs(code: str, *, corpora: Sequence[Corpus] = (), results: Sequence[Path] = ()) -> None:
    """Raise `UserError` unless these are the inputs of the job planned as `code`, in planned order.

    Checksums do not show that a result was put in place of another together with its record: of another run, or of an
    older plan. The digest of the job does, which covers the jobs upstream, and for results of the same jobs from other
    data, the digest of the corpora.
    """
    records = {path: read_record(record_of(path)) for path in results}
    if provenance.states_upstream(code):
        upstream = [_read_preparation(corpus.folder) for corpus in corpora] + [*records.values()]
        if not provenance.has_upstream(code, upstream):
            places = [*(str(corpus.folder) for corpus in corpora), *(str(file_to_delete(path)) for path in results)]
            raise UserError(
                f"not all inputs are those of this plan, but of another run or an older plan: run again; if that "
                f"changes nothing, delete first {' or '.join(places)}"
            )
    for path, record in records.items():
        for corpus in corpora:
            if record.get("data", {}).get(corpus.facts.dataset, corpus.facts.digest) != corpus.facts.digest:
                raise UserError(
                    f"{path} is stale: it was computed from other data than {corpus.folder}: "
                    f"delete {file_to_delete(path)} and run again"
                )


def _read_preparation(folder: Path) -> dict[str, object]:
    """Read the record of the job that prepared a corpus; `UserError` if it prepared another."""
    require_unchanged(folder / CORPUS_FACTS, record=folder / RECORD)
    return read_record(folder / RECORD)
