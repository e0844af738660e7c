"""Files that a config downloads, each once: data sets of one loader share them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from workflow_scripts.configuration.config import Config
from workflow_scripts.levels import dataset_facts
from workflow_scripts.planning.plan import Plan


@dataclass(frozen=True, kw_only=True)
class PlannedFile:
    """A file that a loader's data sets share: its description, and whether the archive stays after unpacking."""

    loader: str
    remote: Any
    is_kept: bool


def downloaded_datasets(plan: Plan) -> list[str]:
    """Return the data sets of a plan that come from a host."""
    return [name for name in dict(plan.corpora) if plan.config.datasets[name].source == "download"]


def list_files(plan: Plan) -> list[PlannedFile]:
    """Return the files that the plan downloads; one whose content a larger planned archive has is left out."""
    names = downloaded_datasets(plan)
    files: dict[tuple[str, str], PlannedFile] = {}
    for name in names:
        loader = plan.config.datasets[name].loader
        is_kept = any(source["keep_archives"] for source in _sources_of(plan.config, loader))
        for remote in remotes_of(plan.config, name).values():
            files[loader, remote.name] = PlannedFile(loader=loader, remote=remote, is_kept=is_kept)
    return [
        file
        for (loader, _), file in sorted(files.items())
        if file.remote.within is None or (loader, file.remote.within.name) not in files
    ]


def describe_downloads(plan: Plan) -> str:
    """Return what `acquire` needs to know beyond its config, as JSON: sources and planned files of each loader.

    It decides where files come from, not what they are, so it is no part of the jobs' config.
    """
    files = list_files(plan)
    loaders = sorted({file.loader for file in files})
    return json.dumps(
        {
            loader: {
                "sources": _sources_of(plan.config, loader),
                "planned": [file.remote.name for file in files if file.loader == loader],
            }
            for loader in loaders
        }
    )


def remotes_of(config: Config, dataset: str) -> dict[str, Any]:
    """Return the files of a data set that can be downloaded."""
    level = config.level("dataset", dataset)
    return dict(dataset_facts.remotes(level.module, level.options))


def _sources_of(config: Config, loader: str) -> list[dict[str, Any]]:
    """Return the entries of `sources` of a loader's data sets."""
    return [
        source.model_dump(mode="json")
        for name, source in config.sources.items()
        if config.datasets[name].loader == loader
    ]
