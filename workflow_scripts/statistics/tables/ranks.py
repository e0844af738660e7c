"""Ranks over data sets with ties, and performance profiles: the methods of a study beside one another.

Data sets are fixed effects that count the same. What else makes columns of a study (heads, fractions) is ranked apart:
those are no independent problems.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workflow_scripts.statistics.contrasts import METHOD_FACTORS, TableEntry
from workflow_scripts.statistics.estimation import TEST_SET, as_matrix, common_trials
from workflow_scripts.statistics.guards import friedman_blocks, one_checkpoint, too_few
from workflow_scripts.statistics.inference import multi_dataset
from workflow_scripts.statistics.samples import NotComparable, TrialSample, why_not_comparable
from workflow_scripts.statistics.tables.summary import MEASURED, MISSING, REFUSED, frame, joined
from workflow_scripts.statistics.test_set_bootstrap import BootstrapReplicates

RANKED_FACTORS = tuple(factor for factor in METHOD_FACTORS if factor != "dataset")
THRESHOLDS = np.arange(5, 100, 5) / 100  # of metrics from 0 to 1

RANK_COLUMNS = (
    *("study", "metric", "kind", *RANKED_FACTORS, "datasets", "sets", "status", "reason", "mark", "mean"),
    *(
        "rank",
        "rank_low",
        "rank_high",
        "tie_groups",
        "iqm",
        "replicate",
        "n",
        "n_pretraining_seeds",
        "variance_sources",
        "source",
    ),
)
PROFILE_COLUMNS = ("study", "metric", "kind", *RANKED_FACTORS, "datasets", "sets", "threshold", "share")


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The methods of a study that are ranked together: rows of its table, by data set; `beside` are other levels."""

    beside: Mapping[str, str]
    datasets: tuple[str, ...]
    methods: Mapping[tuple[str, ...], Mapping[str, TableEntry]]


def rankings(entries: Sequence[TableEntry]) -> list[Ranking]:
    """The rankings of one study in one metric: one for each combination of what makes columns besides the data set.

    None where a method has one data set, or where the study's rows tell data sets apart.
    """
    if not entries or "dataset" not in entries[0].study.columns:
        return []
    columns = entries[0].study.columns
    beside = [place for place, factor in enumerate(columns) if factor != "dataset"]
    groups: dict[tuple[str, ...], list[TableEntry]] = {}
    for entry in entries:
        groups.setdefault(tuple(entry.column[place] for place in beside), []).append(entry)
    made = []
    for key, members in groups.items():
        methods: dict[tuple[str, ...], dict[str, TableEntry]] = {}
        for entry in members:
            methods.setdefault(entry.row, {})[entry.levels["dataset"]] = entry
        datasets = tuple(dict.fromkeys(entry.levels["dataset"] for entry in members))
        if len(datasets) > 1 and len(methods) > 1:
            levels = dict(zip([columns[place] for place in beside], key, strict=True))
            made.append(Ranking(beside=levels, datasets=datasets, methods=methods))
    return made


def not_ranked_together(entries: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Why columns of a study other than data sets are ranked each for itself, from its rows of the entry table."""
    varied = [factor for factor in columns if entries[factor].nunique() > 1]
    return [objected.reason for factor in varied if (objected := friedman_blocks(factor))]


def rank_table(entries: Sequence[TableEntry], replicates: BootstrapReplicates, *, threads: int = 1) -> pd.DataFrame:
    """One row per method of each ranking (columns `RANK_COLUMNS`), in planned order, whatever the number of threads.

    A method that lacks a data set is not ranked, and the others are ranked without it. The places hold for all methods
    of a ranking at once; methods that share a letter in `ties` were not told apart.
    """
    listed = [ranking for read in _by_study(entries) for ranking in rankings(read)]
    with ThreadPoolExecutor(threads) as pool:
        ranked = pool.map(lambda ranking: _ranked(ranking, replicates), listed)
        return frame([row for rows in ranked for row in rows], RANK_COLUMNS)


def _by_study(entries: Iterable[TableEntry]) -> list[list[TableEntry]]:
    """Entries of each study, and of each metric it is read in, for themselves."""
    studies: dict[tuple[str, str], list[TableEntry]] = {}
    for entry in entries:
        studies.setdefault((entry.study.name, entry.study.metric), []).append(entry)
    return list(studies.values())


def _ranked(ranking: Ranking, replicates: BootstrapReplicates) -> list[dict[str, object]]:
    rows = {row: _method_row(row, ranking) for row in ranking.methods}
    complete: dict[tuple[str, ...], list[TableEntry]] = {}
    for row, by_set in ranking.methods.items():
        absent = [
            f"{by_set[name].reason if name in by_set else 'not planned'} ({name})"
            for name in ranking.datasets
            if name not in by_set or not by_set[name].samples
        ]
        if absent:
            rows[row] |= {"status": MISSING, "reason": "; ".join(absent)}
        else:
            complete[row] = [by_set[name] for name in ranking.datasets]
    made = _values(complete) if len(complete) > 1 else "nothing to rank it with"
    if isinstance(made, str):
        for row in complete:
            rows[row] |= {"status": REFUSED, "reason": made}
    else:
        for row, found in zip(complete, _places(complete, made, replicates), strict=True):
            rows[row] |= found
    return list(rows.values())


def _method_row(row: tuple[str, ...], ranking: Ranking) -> dict[str, object]:
    entry = next(iter(ranking.methods[row].values()))
    named = dict.fromkeys(RANKED_FACTORS, "") | dict(zip(entry.study.rows, row, strict=True)) | dict(ranking.beside)
    return {
        **{"study": entry.study.name, "metric": entry.study.metric, "kind": "floor" if entry.floor else "method"},
        **named,
        **{"datasets": " ".join(ranking.datasets), "sets": len(ranking.datasets)},
    }


@dataclass(frozen=True, kw_only=True)
class _Values:
    """Per data set the values (methods, columns) and, in the same order, what each column is."""

    replicate: str
    of_sets: list[np.ndarray]


def _values(methods: Mapping[tuple[str, ...], Sequence[TableEntry]]) -> _Values | str:
    """Values of all methods in columns that are pairs, or why there are none."""
    by_set = list(zip(*methods.values(), strict=True))
    for entries in by_set:
        objected = why_not_comparable([sample for entry in entries for sample in entry.samples])
        if objected:
            return f"{objected} ({entries[0].levels['dataset']})"
    if all(len(entry.samples) == 1 for entries in by_set for entry in entries):
        return _trial_values(by_set)
    return _checkpoint_values(by_set)


def _trial_values(by_set: Sequence[Sequence[TableEntry]]) -> _Values | str:
    of_sets = []
    for entries in by_set:
        samples = [entry.samples[0] for entry in entries]
        trials = common_trials(samples)
        few = None if isinstance(trials, NotComparable) else too_few(len(trials), of="trials")
        if isinstance(trials, NotComparable) or few:
            reason = trials.reason if isinstance(trials, NotComparable) else few.reason if few else ""
            return f"{reason} ({entries[0].levels['dataset']})"
        of_sets.append(as_matrix(samples, trials=trials))
    return _Values(replicate="trials", of_sets=of_sets)


def _checkpoint_values(by_set: Sequence[Sequence[TableEntry]]) -> _Values | str:
    """Means over the trials of each checkpoint; what has no checkpoints is taken as it is."""
    entries_of_all = [entry for entries in by_set for entry in entries if entry.samples[0].pretrained]
    seeds = {tuple(sample.pretrain_seed for sample in _in_order(entry)) for entry in entries_of_all}
    if len(seeds) > 1:
        return "not the same pre-training seeds for every method"
    (columns,) = seeds
    few = too_few(len(columns), of="pretraining seeds")
    if few:
        return few.reason
    means = [[[sample.values.mean() for sample in _in_order(entry)] for entry in entries] for entries in by_set]
    return _Values(
        replicate="pretraining seeds",
        of_sets=[np.array([row if len(row) > 1 else row * len(columns) for row in rows]) for rows in means],
    )


def _in_order(entry: TableEntry) -> list[TrialSample]:
    return sorted(entry.samples, key=lambda sample: int(sample.pretrain_seed))


def _places(
    methods: Mapping[tuple[str, ...], Sequence[TableEntry]], made: _Values, replicates: BootstrapReplicates
) -> list[dict[str, object]]:
    by_set = list(zip(*methods.values(), strict=True))
    clips = [_clip_means(entries, replicates) for entries in by_set]
    with_clips = all(each is not None for each in clips)
    sets = [
        multi_dataset.SetValues(trials=values, clips=drawn if with_clips else None)
        for values, drawn in zip(made.of_sets, clips, strict=True)
    ]
    if made.replicate == "pretraining seeds":  # which the sets share
        sets = [_one_set(sets)]
    ranks = multi_dataset.rank([" ".join(row) for row in methods], sets)
    letters = _letters(ranks)
    variance_sources = " and ".join([made.replicate, *([TEST_SET] if with_clips else [])])
    rows = []
    for number, entries in enumerate(methods.values()):
        checkpoints = sum(sample.pretrained for sample in entries[0].samples)
        mark = one_checkpoint(checkpoints)
        rows.append(
            {
                **{"status": MEASURED, "reason": "", "mark": mark.reason if mark else "", "mean": ranks.mean[number]},
                **{"rank": ranks.rank[number], "rank_low": ranks.low[number], "rank_high": ranks.high[number]},
                **{"tie_groups": letters[number], "replicate": made.replicate, "n": made.of_sets[0].shape[1]},
                "iqm": multi_dataset.interquartile_mean(
                    [v for e in entries for sample in e.samples for v in sample.values]
                ),
                **{"n_pretraining_seeds": checkpoints, "variance_sources": variance_sources},
                "source": joined(sample.source for entry in entries for sample in entry.samples),
            }
        )
    return rows


def _clip_means(entries: Sequence[TableEntry], replicates: BootstrapReplicates) -> np.ndarray | None:
    """Means of the methods on each resample of one set's clips, (methods, resamples); None where any is unknown."""
    drawn = [replicates.all_of(entry.samples) for entry in entries]
    known = [each for each in drawn if each is not None]
    if len(known) < len(drawn) or len({made.resample_id for each in known for made in each}) > 1:
        return None
    means = np.array([np.mean([made.replicates.mean(axis=0) for made in each], axis=0) for each in known])
    return means if np.isfinite(means).all() else None


def _one_set(sets: Sequence[multi_dataset.SetValues]) -> multi_dataset.SetValues:
    """Mean over sets that share their columns; their clips are drawn independently of one another."""
    random = np.random.default_rng(0)
    drawn = [random.permutation(each.clips, axis=1) for each in sets if each.clips is not None]
    return multi_dataset.SetValues(
        trials=np.mean([each.trials for each in sets], axis=0), clips=np.mean(drawn, axis=0) if drawn else None
    )


def _letters(ranks: multi_dataset.Ranks) -> list[str]:
    """The ties that each method is in, as letters, a for the best."""
    return [
        " ".join(_letter(place) for place, group in enumerate(ranks.groups) if method in group)
        for method in ranks.methods
    ]


def _letter(place: int) -> str:
    """The letters a to z, then aa, ab and so on."""
    first, last = divmod(place, 26)
    return (_letter(first - 1) if first else "") + chr(ord("a") + last)


def profile_table(entries: Sequence[TableEntry]) -> pd.DataFrame:
    """Share of trials above each threshold for the methods of each ranking that are complete (`PROFILE_COLUMNS`)."""
    rows = []
    for study in _by_study(entries):
        for ranking in rankings(study):
            for row, by_set in ranking.methods.items():
                found = [by_set[name] for name in ranking.datasets if name in by_set and by_set[name].samples]
                if len(found) == len(ranking.datasets):
                    rows += _profile(_method_row(row, ranking), found)
    return frame(rows, PROFILE_COLUMNS)


def _profile(row: Mapping[str, object], entries: Sequence[TableEntry]) -> list[dict[str, object]]:
    values = [np.concatenate([sample.values for sample in entry.samples])[None] for entry in entries]
    shares = np.mean([multi_dataset.performance_profile(of_set, THRESHOLDS) for of_set in values], axis=0)
    return [
        {**row, "threshold": threshold, "share": share} for threshold, share in zip(THRESHOLDS, shares, strict=True)
    ]
