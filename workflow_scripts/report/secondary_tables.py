"""Tables below a study's table: across data sets, ranks, performance profiles, variance components, seeds needed."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import comparison_text, labels, number_format
from workflow_scripts.report.number_format import CONFIDENCE, SIGNIFICANCE, Measure
from workflow_scripts.statistics.tables.ranks import separate_ranking_reasons
from workflow_scripts.statistics.tables.schema import BESIDE_DATASETS, BETTER, MEASURED, NOT_SHOWN, SETTINGS, WORSE

UNIDENTIFIED = "not identified"
SEVERAL_SEEDS, PRETRAINED = "the methods with several pre-training seeds", "the pre-trained methods"


@dataclass(frozen=True, kw_only=True)
class SecondaryTable:
    """A small table in printed text, or `sentences` alone if it has no rows.

    The first `texts` columns are words, and with `last_text` the last one too. A `collapsible` one opens on demand.
    """

    title: str
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    texts: int = 1
    last_text: bool = False
    sentences: tuple[str, ...] = ()
    collapsible: bool = False


def build(study: Study, tables: Mapping[str, pd.DataFrame], measure: Measure) -> list[SecondaryTable]:
    """Return the secondary tables with content, from the study's rows of the result tables that `aggregate` wrote."""
    candidates = (
        _across_datasets(study, tables["across"], measure),
        _ranks(study, tables, measure),
        _profiles(study, tables["profiles"], measure),
        _variance_components(study, tables["variance"], measure),
        _seeds_needed(tables["seeds"], measure),
    )
    return [table for table in candidates if table.rows or table.sentences]


def unique_sources(columns: Iterable[str]) -> list[str]:
    """Return the data sources in columns of space-separated names, each once."""
    return list(dict.fromkeys(source for column in columns for source in column.split()))


# --- across data sets -----------------------------------------------------------------------------------------------


def _across_datasets(study: Study, frame: pd.DataFrame, measure: Measure) -> SecondaryTable:
    records = frame.to_dict("records")
    sentences = tuple(across_sentence(study, record, frame, measure) for record in records)
    if frame["family_size"].any():
        tests = number_format.count(int(frame["family_size"].max()), "tests")
        sentences += (
            "Each mean gives these data sets equal weight and does not generalise to other data sets. p (Holm) is "
            f"adjusted over {tests}, separately from the tests on single data sets.",
        )
    return SecondaryTable(
        title="Across data sets",
        headings=("Comparison", "Data sets", "Mean difference", f"{CONFIDENCE} interval", "p", "p (Holm)", "Verdict"),
        rows=tuple(_across_row(record, frame, measure) for record in records),
        texts=2,
        last_text=True,
        sentences=sentences,
    )


def _across_row(record: dict, frame: pd.DataFrame, measure: Measure) -> tuple[str, ...]:
    name, datasets = _add_setting(record["comparison"], record, frame), _join_datasets(record["datasets"])
    if record["status"] != MEASURED:
        return name, datasets, "", "", "", "", comparison_text.absence_reason(record)
    return (
        name,
        datasets,
        number_format.amount(record["mean"], measure),
        comparison_text.interval_beside_verdict(record, measure),
        number_format.p_value(record["p"]),
        number_format.p_value(record["p_holm"]),
        record["verdict"] or record["reason"],
    )


def across_sentence(study: Study, record: dict, frame: pd.DataFrame, measure: Measure) -> str:
    """Return a comparison over several data sets as a sentence; `frame` has all of the study in its metric."""
    treatment, reference = comparison_text.sides(comparison_text.find_comparison(study, record))
    over = _add_setting(f"Mean over {_join_datasets(record['datasets'])}", record, frame)
    over += labels.mark_of_twins(record["source"])
    if record["status"] != MEASURED:
        return f"{over}: {treatment} and {reference} not compared ({comparison_text.absence_reason(record)})."
    mean, low, high = record["mean"], record["ci_low"], record["ci_high"]
    if record["verdict"] in (BETTER, WORSE):
        clause = comparison_text.verdict_clause(record["verdict"], treatment, reference)
        size = comparison_text.size_in_direction(mean, low, high, measure)
        return f"{over}: {clause} {size}{comparison_text.scope(record)}; {_evidence(record)}."
    size = f"{number_format.amount(mean, measure)} {number_format.interval(low, high, measure)}"
    if record["verdict"]:
        size += comparison_text.adjustment_remark(record)
    result = NOT_SHOWN if record["verdict"] else record["reason"]
    return f"{over}: {result} between {treatment} and {reference}: {size}; {_evidence(record)}."


def _evidence(record: dict) -> str:
    """Return the number of replicates, the smallest over the data sets."""
    replicates = number_format.count(int(record["n"]), labels.variance_source(record["replicate"]))
    if record["replicate"] == "trials":
        return f"{replicates}{' of one pre-training seed' if record['n_pretraining_seeds'] else ''} per data set"
    return f"{replicates}{' against a single one' if record['n_pretraining_seeds'] == 1 else ''}"


def _join_datasets(datasets: str) -> str:
    return labels.join([labels.name(dataset) for dataset in datasets.split()])


def _add_setting(text: str, record: dict, frame: pd.DataFrame) -> str:
    """Return text with head and fraction, if the table has several."""
    several = [record[factor] for factor in BESIDE_DATASETS if record[factor] and frame[factor].nunique() > 1]
    return ", ".join([text, *(labels.name(level) for level in several)])


# --- ranks ----------------------------------------------------------------------------------------------------------


def _ranks(study: Study, tables: Mapping[str, pd.DataFrame], measure: Measure) -> SecondaryTable:
    frame = tables["ranks"]
    by_rank = frame.sort_values("rank", kind="stable", na_position="last")
    settings = [factor for factor in study.columns if factor != "dataset" and frame[factor].nunique() > 1]
    rows = [
        (*(labels.name(record[factor]) for factor in (*settings, *study.rows)), *_rank_cells(record, measure))
        for _, group in (by_rank.groupby(settings, sort=False) if settings else [("", by_rank)])
        for record in group.to_dict("records")
    ]
    unit = f" ({measure.unit})" if measure.unit else ""
    return SecondaryTable(
        title="Ranks over data sets",
        headings=(
            *(labels.capital(labels.name(factor)) for factor in (*settings, *study.rows)),
            f"Mean{unit}",
            "Rank",
            f"{CONFIDENCE} ranks",
            "Ties",
            f"Interquartile mean{unit}",
            "Evidence",
        ),
        rows=tuple(rows),
        texts=len(settings) + len(study.rows),
        last_text=True,
        sentences=_rank_sentences(study, tables) if rows else (),
    )


def _rank_sentences(study: Study, tables: Mapping[str, pd.DataFrame]) -> tuple[str, ...]:
    """Return how methods were ranked, and why some data sets or methods were left out."""
    reasons = separate_ranking_reasons(tables["entries"], study.columns)
    sentences = tuple(f"{labels.capital(reason)}." for reason in reasons)
    measured = tables["ranks"][tables["ranks"]["status"] == MEASURED]
    if measured.empty:
        return sentences
    datasets, sources = _join_datasets(measured["datasets"].iloc[0]), ", ".join(unique_sources(measured["source"]))
    covered = measured["variance_sources"].iloc[0].split(" and ")
    others = " and other ".join(labels.variance_source(source) for source in covered)
    return (
        f"Methods are ranked by their mean over {datasets} ({sources}), with equal weight for each data set. The "
        f"{CONFIDENCE} ranks are simultaneous for all methods and cover other {others}; methods that share a letter "
        "are not significantly different. The interquartile mean is descriptive: the mean of the middle half of all "
        "trials on all data sets, so very easy and very hard data sets weigh less.",
        *sentences,
    )


def _rank_cells(record: dict, measure: Measure) -> tuple[str, ...]:
    if record["status"] != MEASURED:
        return "", "", "", "", "", comparison_text.absence_reason(record)
    low, high = int(record["rank_low"]), int(record["rank_high"])
    replicates = number_format.count(int(record["n"]), labels.variance_source(record["replicate"]))
    single = record["replicate"] == "trials" and record["n_pretraining_seeds"]
    return (
        number_format.number(record["mean"] * measure.scale, measure.decimals),
        str(int(record["rank"])),
        f"{low}" if low == high else f"{low}{number_format.RANGE}{high}",
        record["tie_groups"],
        number_format.number(record["iqm"] * measure.scale, measure.decimals),
        f"{replicates}{' of one pre-training seed' if single else ''} per data set",
    )


def _profiles(study: Study, frame: pd.DataFrame, measure: Measure) -> SecondaryTable:
    """Return the shares of trials above those thresholds at which the methods differ."""
    factors = [factor for factor in frame.columns if factor in (*study.rows, *study.columns)]
    shares = frame.pivot_table(index=factors, columns="threshold", values="share", sort=False)
    shares = shares.loc[:, (shares.max() > 0) & (shares.min() < 1)]
    thresholds = [number_format.number(threshold * measure.scale, 0) for threshold in map(float, shares.columns)]
    keys = shares.index.to_frame().itertuples(index=False)
    rows = [
        (*(labels.name(str(level)) for level in key), *(number_format.number(100 * share, 0) for share in row))
        for key, row in zip(keys, shares.to_numpy(), strict=True)
    ]
    sentence = f"Share of trials (%) above each {measure.heading}, with equal weight for each data set."
    return SecondaryTable(
        title="Performance profiles",
        headings=(
            *(labels.capital(labels.name(factor)) for factor in factors),
            *(f"> {threshold}" for threshold in thresholds),
        ),
        rows=tuple(rows) if thresholds else (),
        texts=len(factors),
        sentences=(sentence,) if thresholds and rows else (),
        collapsible=True,
    )


# --- variance components --------------------------------------------------------------------------------------------


def _variance_components(study: Study, frame: pd.DataFrame, measure: Measure) -> SecondaryTable:
    """Return standard deviation and share of variance by source and column.

    They are means over the methods with several pre-training seeds, or else over the pre-trained ones, or else over
    all but floors: the first group identifies the most components.
    """
    several, pretrained = (frame[frame["n_pretraining_seeds"] > fewer] for fewer in (1, 0))
    methods, methods_label = next(
        ((group, label) for group, label in ((several, SEVERAL_SEEDS), (pretrained, PRETRAINED)) if len(group)),
        (frame[frame["kind"] == "method"], "the methods"),
    )
    columns = {_join_levels(key): column for key, column in methods.groupby(list(study.columns), sort=False)}
    reasons: dict[str, str] = {}
    rows = []
    for component, of_component in methods.groupby("component", sort=False):
        reasons |= {str(component): reason for reason in of_component["reason"] if reason}
        cells = (_component_cell(column, str(component), measure) for column in columns.values())
        rows.append((labels.capital(str(component)), *cells))
    return SecondaryTable(
        title="Where the variation comes from",
        headings=("Source", *columns),
        rows=tuple(rows),
        sentences=(
            f"Standard deviation of a single trial due to each source, in {measure.difference_unit or measure.name}, "
            f"and its share of the identified variance; mean over {methods_label}. Test set: another test set of the "
            "same size.",
            *(f"{labels.capital(component)}: {UNIDENTIFIED} ({reason})." for component, reason in reasons.items()),
        )
        if rows
        else (),
    )


def _join_levels(key: Hashable) -> str:
    """Return the labels of the levels that pandas groups by."""
    return ", ".join(labels.name(str(level)) for level in (key if isinstance(key, tuple) else (key,)))


def _component_cell(column: pd.DataFrame, component: str, measure: Measure) -> str:
    """Return standard deviation and share of variance of one component in one column, means over its methods."""
    of_component = column[column["component"] == component]
    unidentified = set(column.loc[column["reason"] != "", "component"])
    if of_component.empty or component in unidentified:
        return UNIDENTIFIED
    variance = float((of_component["std"] ** 2).mean())
    total = float((column.loc[~column["component"].isin(unidentified), "std"] ** 2).sum()) / len(of_component)
    share = f" ({number_format.number(100 * variance / total, 0)} %)" if total else ""
    return f"{number_format.number(math.sqrt(variance) * measure.scale, measure.decimals)}{share}"


# --- seeds needed ---------------------------------------------------------------------------------------------------


def _seeds_needed(frame: pd.DataFrame, measure: Measure) -> SecondaryTable:
    measured = frame[frame["status"] == MEASURED]
    reasons = dict.fromkeys(frame.loc[frame["status"] != MEASURED, "reason"])
    if len(measured):
        sentences = [
            "Pre-training seeds on each side (or on the side that has several) that would detect the difference on "
            f"these test clips with a power of 80 % in a single test at {SIGNIFICANCE}; in brackets the range due to "
            "the uncertainty of the standard deviation. A test needs at least three.",
            *(f"{labels.capital(reason)}." for reason in reasons),
        ]
    else:
        sentences = [f"Unknown: {'; '.join(reasons)}."] if reasons else []
    return SecondaryTable(
        title="Seeds needed",
        headings=(
            "Comparison",
            "Setting",
            "Difference",
            "Standard deviation between seeds",
            "Pre-training seeds",
            "Seeds needed",
        ),
        rows=tuple(_seeds_row(record, frame, measure) for record in measured.to_dict("records")),
        texts=2,
        last_text=True,
        sentences=tuple(sentences),
    )


def _seeds_row(record: dict, frame: pd.DataFrame, measure: Measure) -> tuple[str, ...]:
    setting = [
        labels.name(record[factor])
        for factor in SETTINGS
        if record[factor] and (factor == "dataset" or frame[factor].nunique() > 1)
    ]
    low, high = (_format_seeds(record[column]) for column in ("seeds_low", "seeds_high"))
    return (
        record["comparison"],
        ", ".join(setting),
        f"{number_format.amount(record['target_difference'], measure)} ({record['target_origin']})",
        number_format.amount(record["std"], measure),
        str(int(record["n_pretraining_seeds"])),
        f"{_format_seeds(record['seeds'])} ({low}{number_format.RANGE}{high})",
    )


def _format_seeds(count: object) -> str:
    return ">10,000" if pd.isna(count) else f"{count:,}"  # type: ignore[call-overload]
