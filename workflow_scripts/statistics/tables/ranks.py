"""The tables of ranks and performance profiles: the methods of a study beside one another, over data sets.

Data sets are fixed effects that count the same. Other factors that make columns of a study (heads, fractions) are
ranked apart: those are no independent problems.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workflow_scripts.statistics.contrasts import TableEntry
from workflow_scripts.statistics.estimation import TEST_SET
from workflow_scripts.statistics.guards import friedman_blocks_reason, one_pretraining_seed_reason, too_few_reason
from workflow_scripts.statistics.inference.multi_dataset import interquartile_mean, performance_profile
from workflow_scripts.statistics.inference.ranking import DatasetValues, Ranks, rank_methods
from workflow_scripts.statistics.samples import (
    NotComparable,
    Replicate,
    as_matrix,
    common_trials,
    incomparability_reason,
    sort_by_seed,
)
from workflow_scripts.statistics.tables.schema import (
    MEASURED,
    MISSING,
    PROFILE_COLUMNS,
    RANK_COLUMNS,
    RANKED_FACTORS,
    REFUSED,
    join_distinct,
    to_frame,
)
from workflow_scripts.statistics.test_set_bootstrap import BootstrapReplicates

THRESHOLDS = np.arange(5, 100, 5) / 100  # of metrics from 0 to 1
LETTERS = 26  # of the alphabet


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The methods of a study that are ranked together: rows of its table, by data set; `beside` are other levels."""

    other_levels: Mapping[str, str]
    datasets: tuple[str, ...]
    methods: Mapping[tuple[str, ...], Mapping[str, TableEntry]]


def rankings(entries: Sequence[TableEntry]) -> list[Ranking]:
    """Return the rankings of one study in one metric: one per combination of its columns besides the data set.

    None where a method has one data set, or where data sets are rows of the study.
    """
    if not entries or "dataset" not in entries[0].study.columns:
        return []
    columns = entries[0].study.columns
    beside = [position for position, factor in enumerate(columns) if factor != "dataset"]
    groups: dict[tuple[str, ...], list[TableEntry]] = {}
    for entry in entries:
        groups.setdefault(tuple(entry.column[position] for position in beside), []).append(entry)
    of_columns = []
    for key, members in groups.items():
        methods: dict[tuple[str, ...], dict[str, TableEntry]] = {}
        for entry in members:
            methods.setdefault(entry.row, {})[entry.levels["dataset"]] = entry
        datasets = tuple(dict.fromkeys(entry.levels["dataset"] for entry in members))
        if len(datasets) > 1 and len(methods) > 1:
            levels = dict(zip([columns[position] for position in beside], key, strict=True))
            of_columns.append(Ranking(other_levels=levels, datasets=datasets, methods=methods))
    return of_columns


def separate_ranking_reasons(entries: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Return why columns of a study other than data sets are ranked apart, from its rows of the entry table."""
    varied = [factor for factor in columns if entries[factor].nunique() > 1]
    return [reason for factor in varied if (reason := friedman_blocks_reason(factor))]


def rank_table(entries: Sequence[TableEntry], replicates: BootstrapReplicates, *, threads: int = 1) -> pd.DataFrame:
    """Build one row per method of each ranking (columns `RANK_COLUMNS`), in planned order.

    A method that lacks a data set is not ranked, and the others are ranked without it. The rank intervals hold for all
    methods of a ranking at once; methods that share a letter in `tie_groups` are not distinguishable. The result does
    not depend on `threads`.
    """
    all_rankings = [ranking for of_study in _group_by_study(entries) for ranking in rankings(of_study)]
    with ThreadPoolExecutor(threads) as pool:
        ranked = pool.map(lambda ranking: _rank_rows(ranking, replicates), all_rankings)
        return to_frame([row for rows in ranked for row in rows], RANK_COLUMNS)


def _group_by_study(entries: Iterable[TableEntry]) -> list[list[TableEntry]]:
    """Group entries by study and metric."""
    studies: dict[tuple[str, str], list[TableEntry]] = {}
    for entry in entries:
        studies.setdefault((entry.study.name, entry.study.metric), []).append(entry)
    return list(studies.values())


def _rank_rows(ranking: Ranking, replicates: BootstrapReplicates) -> list[dict[str, object]]:
    rows = {row: _method_row(row, ranking) for row in ranking.methods}
    complete: dict[tuple[str, ...], list[TableEntry]] = {}
    for row, by_dataset in ranking.methods.items():
        absent = [
            f"{by_dataset[name].reason if name in by_dataset else 'not planned'} ({name})"
            for name in ranking.datasets
            if name not in by_dataset or not by_dataset[name].samples
        ]
        if absent:
            rows[row] |= {"status": MISSING, "reason": "; ".join(absent)}
        else:
            complete[row] = [by_dataset[name] for name in ranking.datasets]
    values = _values(complete) if len(complete) > 1 else NotComparable(reason="nothing to rank it with")
    if isinstance(values, NotComparable):
        for row in complete:
            rows[row] |= {"status": REFUSED, "reason": values.reason}
    else:
        for row, fields in zip(complete, _rank_fields(complete, values, replicates), strict=True):
            rows[row] |= fields
    return list(rows.values())


def _method_row(row: tuple[str, ...], ranking: Ranking) -> dict[str, object]:
    entry = next(iter(ranking.methods[row].values()))
    return {
        "study": entry.study.name,
        "metric": entry.study.metric,
        "kind": "floor" if entry.floor else "method",
        **dict.fromkeys(RANKED_FACTORS, ""),
        **dict(zip(entry.study.rows, row, strict=True)),
        **ranking.other_levels,
        "datasets": " ".join(ranking.datasets),
        "n_datasets": len(ranking.datasets),
    }


@dataclass(frozen=True, kw_only=True)
class _Values:
    """Values (methods, columns) of each data set, and the replicate that a column is."""

    replicate: Replicate
    of_datasets: list[np.ndarray]


def _values(methods: Mapping[tuple[str, ...], Sequence[TableEntry]]) -> _Values | NotComparable:
    """Return the values of all methods in paired columns, or why there are none."""
    by_dataset = list(zip(*methods.values(), strict=True))
    for entries in by_dataset:
        reason = incomparability_reason([sample for entry in entries for sample in entry.samples])
        if reason:
            return NotComparable(reason=f"{reason} ({entries[0].levels['dataset']})")
    if all(len(entry.samples) == 1 for entries in by_dataset for entry in entries):
        return _trial_values(by_dataset)
    return _seed_values(by_dataset)


def _trial_values(by_dataset: Sequence[Sequence[TableEntry]]) -> _Values | NotComparable:
    of_datasets = []
    for entries in by_dataset:
        dataset, samples = entries[0].levels["dataset"], [entry.samples[0] for entry in entries]
        trials = common_trials(samples)
        if isinstance(trials, NotComparable):
            return NotComparable(reason=f"{trials.reason} ({dataset})")
        few = too_few_reason(len(trials), of="trials")
        if few:
            return NotComparable(reason=f"{few} ({dataset})")
        of_datasets.append(as_matrix(samples, trials=trials))
    return _Values(replicate="trials", of_datasets=of_datasets)


def _seed_values(by_dataset: Sequence[Sequence[TableEntry]]) -> _Values | NotComparable:
    """Average over the trials of each pre-training seed; a method without pre-training has the same value for all."""
    pretrained = [entry for entries in by_dataset for entry in entries if entry.samples[0].pretrained]
    seeds = {tuple(sample.pretrain_seed for sample in sort_by_seed(entry.samples)) for entry in pretrained}
    if len(seeds) > 1:
        return NotComparable(reason="not the same pre-training seeds for every method")
    (columns,) = seeds
    few = too_few_reason(len(columns), of="pretraining seeds")
    if few:
        return NotComparable(reason=few)
    means = [
        [[sample.values.mean() for sample in sort_by_seed(entry.samples)] for entry in entries]
        for entries in by_dataset
    ]
    return _Values(
        replicate="pretraining seeds",
        of_datasets=[np.array([row if len(row) > 1 else row * len(columns) for row in rows]) for rows in means],
    )


def _rank_fields(
    methods: Mapping[tuple[str, ...], Sequence[TableEntry]], values: _Values, replicates: BootstrapReplicates
) -> list[dict[str, object]]:
    # means on resamples of the test sets, if all are known
    by_dataset = list(zip(*methods.values(), strict=True))
    test_sets = [_test_set_means(entries, replicates) for entries in by_dataset]
    with_test_sets = all(means is not None for means in test_sets)

    # rank the methods
    datasets = [
        DatasetValues(trials=trials, test_sets=means if with_test_sets else None)
        for trials, means in zip(values.of_datasets, test_sets, strict=True)
    ]
    if values.replicate == "pretraining seeds":  # which the data sets share
        datasets = [_mean_of_datasets(datasets)]
    ranks = rank_methods([" ".join(row) for row in methods], datasets)
    letters = _tie_letters(ranks)
    variance_sources = " and ".join([values.replicate, *([TEST_SET] if with_test_sets else [])])

    # one row for each method
    rows = []
    for number, entries in enumerate(methods.values()):
        seeds = sum(sample.pretrained for sample in entries[0].samples)
        samples = [sample for entry in entries for sample in entry.samples]
        rows.append(
            {
                "status": MEASURED,
                "reason": "",
                "caveat": one_pretraining_seed_reason(seeds),
                "mean": ranks.mean[number],
                "rank": ranks.rank[number],
                "rank_low": ranks.low[number],
                "rank_high": ranks.high[number],
                "tie_groups": letters[number],
                "replicate": values.replicate,
                "n": values.of_datasets[0].shape[1],
                "iqm": interquartile_mean([value for sample in samples for value in sample.values]),
                "n_pretraining_seeds": seeds,
                "variance_sources": variance_sources,
                "source": join_distinct(sample.source for sample in samples),
            }
        )
    return rows


def _test_set_means(entries: Sequence[TableEntry], replicates: BootstrapReplicates) -> np.ndarray | None:
    """Return the methods' means on each resample of one test set, (methods, resamples); None if any is unknown."""
    bootstraps = [replicates.all_of(entry.samples) for entry in entries]
    known = [of_method for of_method in bootstraps if of_method is not None]
    if (
        len(known) < len(bootstraps)
        or len({bootstrap.resample_id for of_method in known for bootstrap in of_method}) > 1
    ):
        return None
    means = np.array(
        [np.mean([bootstrap.replicates.mean(axis=0) for bootstrap in of_method], axis=0) for of_method in known]
    )
    return means if np.isfinite(means).all() else None


def _mean_of_datasets(datasets: Sequence[DatasetValues]) -> DatasetValues:
    """Average data sets that share their columns; their test sets are resampled independently of one another."""
    rng = np.random.default_rng(0)
    test_sets = [rng.permutation(values.test_sets, axis=1) for values in datasets if values.test_sets is not None]
    return DatasetValues(
        trials=np.mean([values.trials for values in datasets], axis=0),
        test_sets=np.mean(test_sets, axis=0) if test_sets else None,
    )


def _tie_letters(ranks: Ranks) -> list[str]:
    """Return the tie groups that each method is in, as letters, a for the best."""
    return [
        " ".join(_letter(number) for number, group in enumerate(ranks.tie_groups) if method in group)
        for method in ranks.methods
    ]


def _letter(number: int) -> str:
    """Return the letters a to z, then aa, ab and so on."""
    first, last = divmod(number, LETTERS)
    return (_letter(first - 1) if first else "") + chr(ord("a") + last)


def profile_table(entries: Sequence[TableEntry]) -> pd.DataFrame:
    """Build the share of trials above each threshold for the complete methods of each ranking (`PROFILE_COLUMNS`)."""
    rows = []
    for study in _group_by_study(entries):
        for ranking in rankings(study):
            for row, by_dataset in ranking.methods.items():
                present = [by_dataset[name] for name in ranking.datasets if name in by_dataset]
                if sum(bool(entry.samples) for entry in present) == len(ranking.datasets):
                    rows += _profile_rows(_method_row(row, ranking), present)
    return to_frame(rows, PROFILE_COLUMNS)


def _profile_rows(row: Mapping[str, object], entries: Sequence[TableEntry]) -> list[dict[str, object]]:
    values = [np.concatenate([sample.values for sample in entry.samples])[None] for entry in entries]
    shares = np.mean([performance_profile(of_dataset, THRESHOLDS) for of_dataset in values], axis=0)
    return [
        {**row, "threshold": threshold, "share": share} for threshold, share in zip(THRESHOLDS, shares, strict=True)
    ]
