"""The table of entries: one row per number of a study's table, the pre-training seeds of a method taken together."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType

import pandas as pd

from workflow_scripts.statistics.contrasts import TableEntry
from workflow_scripts.statistics.data_sources import method_of
from workflow_scripts.statistics.estimation import (
    CONFIDENCE_LEVEL,
    ConfidenceInterval,
    Difference,
    StandardErrors,
    compare_methods,
    estimate_mean,
)
from workflow_scripts.statistics.guards import one_pretraining_seed_reason, too_few_reason
from workflow_scripts.statistics.inference.hypothesis_tests import ZERO_VARIANCE
from workflow_scripts.statistics.samples import (
    NotComparable,
    TrialSample,
    fewest_pretraining_seeds,
    incomparability_reason,
)
from workflow_scripts.statistics.tables.schema import (
    BEST,
    ENTRY_COLUMNS,
    MEASURED,
    MISSING,
    TIED,
    join_distinct,
    to_frame,
)
from workflow_scripts.statistics.test_set_bootstrap import BootstrapReplicates


def entry_table(
    entries: Sequence[TableEntry],
    replicates: BootstrapReplicates,
    *,
    corpora: Mapping[str, str] = MappingProxyType({}),
    short: Mapping[tuple[str, ...], str] = MappingProxyType({}),
    training: Callable[[Mapping[str, str]], Mapping[str, str]] = lambda _: {},
) -> pd.DataFrame:
    """Build one row per entry of the studies' tables (columns `ENTRY_COLUMNS`).

    `ci_low` and `ci_high` cover the `variance_sources`; the standard errors are those that each contributes. `corpora`
    are the sources of the prepared corpora, from which `corpus_source` takes that of the pre-training corpus; `short`
    are the clips that pre-training left out, by method; `training` gives the columns about data that others trained on.
    """
    rows = [{**_row(entry, replicates, corpora, short), **training(entry.levels)} for entry in entries]
    by_column: dict[tuple[object, ...], dict[int, TableEntry]] = {}
    for number, entry in enumerate(entries):
        if entry.samples:
            by_column.setdefault((entry.study.name, entry.study.metric, entry.column), {})[number] = entry
    for in_column in by_column.values():
        means = {number: float(rows[number]["mean"]) for number in in_column}  # type: ignore[arg-type]
        known = {number for number in in_column if not math.isnan(rows[number]["ci_low"])}  # type: ignore[arg-type]
        for number, mark in _mark_best_and_tied(in_column, means, known, replicates).items():
            rows[number]["rank_mark"] = mark
    return to_frame(rows, ENTRY_COLUMNS)


def _row(
    entry: TableEntry, replicates: BootstrapReplicates, corpora: Mapping[str, str], short: Mapping[tuple[str, ...], str]
) -> dict[str, object]:
    row: dict[str, object] = {
        **entry.levels,
        "study": entry.study.name,
        "metric": entry.study.metric,
        "kind": "floor" if entry.floor else "method",
        "pretrain_seeds": " ".join(sample.pretrain_seed for sample in entry.samples),
        "status": MEASURED if entry.samples else MISSING,
        "reason": entry.reason,
        "rank_mark": "",
    }
    if not entry.samples:
        return row
    estimate = estimate_mean(entry.samples, replicates)
    reasons = [entry.reason, too_few_reason(estimate.n, of=estimate.replicate)]
    return row | {
        "mean": estimate.mean,
        "std": estimate.std,
        "ci_low": estimate.ci.low,
        "ci_high": estimate.ci.high,
        "replicate": estimate.replicate,
        **variance_fields(estimate.std_errors, estimate.ci),
        **evidence_fields([entry.samples], estimate.clusters),
        "reason": "; ".join(filter(None, reasons)),
        "n_trials": min(len(sample.values) for sample in entry.samples),
        **_training_fields(entry),
        "quarantined": entry.samples[0].quarantined,
        "data_digest": join_distinct(sample.data_digest for sample in entry.samples),
        "corpus_source": corpora.get(entry.levels["corpus"], ""),
        "short_clips": short.get(method_of(entry.levels), ""),
    }


def _training_fields(entry: TableEntry) -> dict[str, object]:
    """Return the columns about the training of the trials."""
    if entry.training is None:
        return {}
    limit = entry.training.max_epochs
    return {
        "learning_rate": " ".join(f"{rate:g}" for rate in entry.training.learning_rates),
        "n_learning_rates": entry.training.n_learning_rates,
        "max_epochs": limit,
        "n_at_max_epochs": sum(int((sample.epochs >= limit).sum()) for sample in entry.samples),
    }


def variance_fields(std_errors: StandardErrors, ci: ConfidenceInterval) -> dict[str, object]:
    """Return the columns about the sources of variance behind an interval."""
    return {
        "variance_sources": " and ".join(std_errors.variance_sources),
        "se_pretraining_seed": std_errors.pretraining_seed,
        "se_trial": std_errors.trial,
        "se_test_set": std_errors.test_set,
        "std_error": ci.std_error,
        "df": ci.df,
    }


def evidence_fields(sides: Sequence[Sequence[TrialSample]], clusters: int) -> dict[str, object]:
    """Return the columns about the evidence for a number: pre-training seeds, test clips and the source of the data."""
    seeds = fewest_pretraining_seeds(*sides)
    return {
        "n_pretraining_seeds": seeds,
        "caveat": one_pretraining_seed_reason(seeds),
        "test_clips": sides[0][0].test_clips,
        "clusters": clusters or None,
        "source": join_distinct(sample.source for side in sides for sample in side),
    }


def _mark_best_and_tied(
    measured: Mapping[int, TableEntry],
    means: Mapping[int, float],
    known: Collection[int],
    replicates: BootstrapReplicates,
) -> dict[int, str]:
    """Mark the highest mean of a column "best" and those that were not shown to differ from it "tied".

    The best was picked from all, so p is adjusted for every pair of the column (Bonferroni): without that, some of
    twenty equal methods lack the mark in seven of eight columns. A column measured on different data, with a single
    entry, or whose highest mean is shared by several, gets no marks; nor does an entry without an interval (those
    `known` have one), or a column whose highest mean has none.
    """
    if len(measured) < 2 or incomparability_reason([sample for entry in measured.values() for sample in entry.samples]):
        return {}
    best = max(means, key=lambda number: means[number])
    if best not in known or sum(means[best] - mean <= ZERO_VARIANCE for mean in means.values()) > 1:
        return {}
    pairs = math.comb(len(measured), 2)
    marks = {best: BEST}
    for number, entry in measured.items():
        if number == best or number not in known:
            continue
        difference = compare_methods(measured[best].samples, entry.samples, replicates)
        if not _is_significant(difference, tests=pairs):
            marks[number] = TIED
    return marks


def _is_significant(difference: Difference | NotComparable, *, tests: int) -> bool:
    """Whether one of so many differences is above zero beyond chance; nothing is shown where there is no test.

    A difference that is the same in every trial has an interval and no p: it is.
    """
    if isinstance(difference, NotComparable):
        return False
    return difference.ci.low > 0 and not difference.p * tests > 1 - CONFIDENCE_LEVEL
