"""The smoke DAG in a copy of the repository, and checks of its results by plain pandas."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.checkout import REPOSITORY
from workflow_scripts.levels.factors import DOWNSTREAM, PRETRAINING

SMOKE = "config/smoke.yaml"
STUDIES = "studies.yaml"  # the studies of a copy
#: proxies that refuse every connection, as on a compute node: what the smoke DAG needs is made here
WITHOUT_NETWORK = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
METHOD = [factor for factor in (*PRETRAINING, *DOWNSTREAM) if factor != "pretrain_seed"]
#: but not bytecode, compiled functions among it, which a copy would compile again
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "data", "results", ".snakemake", ".*_cache", ".hypothesis")


def run_studies(studies: Sequence[str], *, folder: Path, more: Mapping[str, Any] | None = None) -> Path:
    """Copy the repository to `folder` and run the smoke DAG of some studies there, with `more` config over its own."""
    shutil.copytree(REPOSITORY, folder, ignore=NOT_COPIED)
    (folder / STUDIES).write_text(yaml.safe_dump({"studies": list(studies), **(more or {})}), encoding="utf-8")
    result = snakemake(folder, "--show-failed-logs")
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-15000:]
    return folder


def snakemake(
    folder: Path, *arguments: str, configfiles: Sequence[str] = (SMOKE, STUDIES), network: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run the workflow of a copy, two jobs at a time: networks this small train no faster in two threads."""
    threads = [f"{rule}=1" for rule in ("extract", "weigh", "pretrain", "evaluate_separation")]
    command = [sys.executable, "-m", "snakemake", "--cores=2", "--scheduler=greedy", "--set-threads", *threads]
    return subprocess.run(
        [*command, "--configfile", *configfiles, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        env={**os.environ, **({} if network else WITHOUT_NETWORK)},
    )


def read_numbers(finished: Path, study: str) -> pd.DataFrame:
    """Read the numbers of a study's figure."""
    path = finished / "results/smoke/figures" / f"{study}.csv"
    return pd.read_csv(path, dtype={"clip": str}, keep_default_na=False)


def read_trials(finished: Path, *, metric: str) -> pd.DataFrame:
    """Read all trials of a metric, in percent."""
    trials = pd.read_csv(finished / "results/smoke/statistics/trials.csv", keep_default_na=False)
    rows = trials[trials.metric == metric]
    return rows.assign(value=100 * pd.to_numeric(rows.value))


def select_method(trials: pd.DataFrame, row: pd.Series, **other: str) -> pd.DataFrame:
    """Select the trials of the cell named by a row of a figure's numbers, in order of trials."""
    levels = {factor: row[factor] for factor in METHOD} | other
    rows = trials[(trials[list(levels)] == pd.Series(levels)).all(axis=1)].sort_values("trial")
    assert len(rows) == 3
    return rows


def check_table_means(finished: Path, study: str) -> set[str]:
    """Compare every mean of a study's table with its trials; return the metrics shown."""
    table = pd.read_csv(finished / "results/smoke/tables" / f"{study}.csv", keep_default_na=False)
    for metric, rows in table.groupby("metric"):
        means = read_trials(finished, metric=str(metric)).groupby(METHOD)["value"].mean()
        for row in rows.to_dict("records"):
            assert float(row["mean"]) == pytest.approx(means[tuple(row[factor] for factor in METHOD)], rel=1e-12)
    return set(table["metric"])


def check_published_means(finished: Path, *, system: str) -> int:
    """Compare our values beside a system's published means with the trials; return their number."""
    results = finished / "results/smoke/statistics"
    manifest = json.loads((results / "plan.json").read_text(encoding="utf-8"))
    table = pd.read_csv(results / "reproduction.csv", dtype=str, keep_default_na=False)
    spoken = table[(table["value"] != "") & (table["quantity"] == "mean") & (table["system"] == system)]
    for _, line in spoken.iterrows():
        levels = dict(part.split("=") for part in line["of"].split())
        planned = [manifest["cells"][place] for place in manifest["studies"][line["study"]]["cells"]]
        (cell,) = (cell for cell in planned if levels.items() <= cell["factors"].items())
        trials = pd.read_csv(finished / cell["path"]).query("metric == @line.our_metric")
        assert float(line["value"]) == pytest.approx(100 * trials["value"].mean()), line["id"]
        assert line["verdict"] == "not comparable", "no twin stands beside a published number"
    return len(spoken)
