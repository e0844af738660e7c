"""Sources of the audio of the prepared corpora."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from workflow_scripts.core import result_files


def sources_of(folders: Iterable[Path]) -> dict[str, str]:
    """Return the source (twin, local or download) of each prepared corpus by its data set, from its `corpus.json`."""
    files = (folder / result_files.CORPUS_FACTS for folder in folders)
    facts = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
    return {corpus["dataset"]: corpus["source"] for corpus in facts}
