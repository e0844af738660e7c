"""Page about where the numbers come from: commands, config, versions and digests."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from workflow_scripts.core.checksums import CHECKSUMS, OWN, read_record
from workflow_scripts.planning.layout import STATISTICS_FILES
from workflow_scripts.planning.manifest import Manifest
from workflow_scripts.report import costs, number_format
from workflow_scripts.report.cell_explanation import PROFILE
from workflow_scripts.report.data_rows import data_rows
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.site.machine_files import SCHEMA, SUMMARY, code_by_scenario
from workflow_scripts.report.site.page import SiteFile, SitePage

CONFIG = "config.yaml"


@dataclass(frozen=True, kw_only=True)
class ProvenanceContent:
    """Rows of fact and value, commands with what they do, and the config as YAML; empty if it is not known."""

    run: tuple[tuple[str, str], ...]
    commands: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]
    code: tuple[tuple[str, str], ...]
    data: tuple[tuple[str, ...], ...]
    statistics: tuple[tuple[str, str], ...]
    config: str
    config_file: str = CONFIG
    summary_file: str = SUMMARY
    schema_file: str = SCHEMA


def pages(inputs: ReportInputs) -> Iterator[SitePage | SiteFile]:
    """Yield the page, and the config as a file."""
    manifest = inputs.manifest
    config = yaml.safe_dump(dict(manifest.config), sort_keys=False, allow_unicode=True) if manifest.config else ""
    rows = data_rows(inputs.cells, corpora=manifest.corpora, find=manifest.find_record)
    files = read_record(inputs.statistics.folder / STATISTICS_FILES["summary"])[CHECKSUMS]
    content = ProvenanceContent(
        run=tuple(_run(inputs)),
        commands=tuple(_commands(manifest)),
        versions=tuple(costs.versions(inputs.records)),
        code=tuple(
            (scenario.replace("_", "-"), ", ".join(codes)) for scenario, codes in code_by_scenario(manifest).items()
        ),
        data=tuple((row.dataset, row.source, row.digest) for row in rows),
        statistics=tuple((name, value) for name, value in files.items() if name != OWN),
        config=config,
    )
    yield SitePage(
        path="provenance.html", title="Provenance", template="site/provenance.html.j2", content=content, group="Run"
    )
    if config:
        yield SiteFile(path=CONFIG, content=config.encode())


def _run(inputs: ReportInputs) -> Iterator[tuple[str, str]]:
    """Yield what was run: the version of Prelude, config files, and the days of the jobs."""
    manifest = inputs.manifest
    program = manifest.program
    yield "Scale", manifest.scale
    if program.version or program.commit:
        yield "Prelude", ", commit ".join(filter(None, (program.version, program.commit)))
    yield "Config files", ", ".join(("config/config.yaml", *manifest.configfiles))
    if days := costs.dates(inputs.records):
        yield "Jobs started", f"{days} (UTC)"
    for origin, number in inputs.origins.items():
        yield f"Added from {origin}", number_format.count(number, "evaluations")
    yield "Plan", f"digest {manifest.digest}"


def _commands(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield what a reader may want to do, and the command that does it."""
    files = ["--configfile", *manifest.configfiles] if manifest.configfiles else []
    results = str(manifest.journal.parents[1]) if len(manifest.journal.parts) > 2 else "results"
    yield "Repeat the run", shlex.join([".venv/bin/snakemake", "--profile", PROFILE, *files])
    yield "Show the state of its jobs", shlex.join([".venv/bin/python", "-m", "workflow_scripts.status", *files])
    explain = ".venv/bin/python -m workflow_scripts.explain STUDY ROW COLUMN --results"
    yield "Explain a number", f"{explain} {shlex.quote(results)}"
