"""The site of synthetic results."""

from __future__ import annotations

from pathlib import Path

from tests.report.aggregated_study import statistics
from tests.synthetic_results import Results
from workflow_scripts import compose


def compose_site(results: Results) -> Path:
    """Aggregate `results` and compose their site, without figures of studies; return its folder."""
    folder = results.folder / "report"
    arguments = ["--statistics", str(statistics(results)), "--figures", str(results.folder / "figures")]
    compose.main(["--manifest", results.manifest_file(), *arguments, "--output", str(folder)])
    return folder
