"""What stands below a study's table: across data sets, ranks, where the variation comes from, seeds needed."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels
from workflow_scripts.statistics.estimation import TEST_SET
from workflow_scripts.statistics.inference.confidence_intervals import CONFIDENCE_LEVEL
from workflow_scripts.statistics.tables.ranks import not_ranked_together
from workflow_scripts.statistics.tables.schema import (
    BESIDE_DATASETS,
    BETTER,
    MEASURED,
    MISSING,
    NOT_SHOWN,
    SETTINGS,
    WORSE,
)

TWIN = "twin"
UNIDENTIFIED = "not identified"
SEVERAL, PRETRAINED = "the methods with several pre-training seeds", "the pre-trained methods"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A small table in printed text, or only `sentences` where it has no rows; the first `texts` columns are words.

    `folded` says that a page may show it on demand only; `last_text` that the last column is words too.
    """

    title: str
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    texts: int = 1
    last_text: bool = False
    sentences: tuple[str, ...] = ()
    folded: bool = False


def build(study: Study, mine: Mapping[str, pd.DataFrame], measure: labels.Measure) -> Iterable[Part]:
    """The parts that a study has something to say in, from its rows of the tables that `aggregate` wrote."""
    made = (
        _across(study, mine["across"], measure),
        _ranks(study, mine, measure),
        _profiles(study, mine["profiles"], measure),
        _variation(study, mine["variance"], measure),
        _seeds(mine["seeds"], measure),
    )
    return [part for part in made if part.rows or part.sentences]


def sources(texts: Iterable[str]) -> list[str]:
    """The different sources that columns of them name, each once."""
    return list(dict.fromkeys(source for text in texts for source in text.split()))


# --- across data sets -----------------------------------------------------------------------------------------------


def _across(study: Study, frame: pd.DataFrame, measure: labels.Measure) -> Part:
    records = frame.to_dict("records")
    headings = ("Comparison", "Data sets", "Mean difference", "95 % interval", "p", "p (Holm)", "Verdict")
    rows = tuple(_across_row(record, frame, measure) for record in records)
    said = tuple(_across_sentence(study, record, frame, measure) for record in records)
    if frame["family"].any():
        tests = labels.counted(int(frame["family"].max()), "tests")
        said += (
            "The mean is over these data sets, each counting the same; nothing is said of others. "
            f"p is adjusted over {tests}, a family apart from that of the single data sets.",
        )
    return Part(title="Across data sets", headings=headings, rows=rows, texts=2, last_text=True, sentences=said)


def _across_row(record: dict, frame: pd.DataFrame, measure: labels.Measure) -> tuple[str, ...]:
    name, sets = _beside(record["comparison"], record, frame), _sets(record["datasets"])
    if record["status"] != MEASURED:
        return name, sets, "", "", "", "", _why_not(record)
    return (
        *(
            name,
            sets,
            labels.amount(record["mean"], measure),
            labels.interval(record["ci_low"], record["ci_high"], measure),
        ),
        *(labels.p_value(record["p"]), labels.p_value(record["p_holm"]), record["verdict"] or record["reason"]),
    )


def _across_sentence(study: Study, record: dict, frame: pd.DataFrame, measure: labels.Measure) -> str:
    comparison = next(each for each in study.comparisons if each.name == record["comparison"])
    better, than = labels.sides(comparison.treatment, comparison.reference)
    over = _beside(f"Mean over {_sets(record['datasets'])}", record, frame)
    if record["source"]:
        over += f" ({record['source'].replace(' ', ', ')})"
    mean, low, high = record["mean"], record["ci_low"], record["ci_high"]
    if record["status"] != MEASURED:
        return f"{over}: {better} and {than} not compared ({_why_not(record)})."
    evidence = _evidence(record)
    if record["verdict"] in (BETTER, WORSE):
        also = ", also for other test clips" if TEST_SET in record["variance_sources"] else " on these test clips"
        found = f"{labels.beats(record['verdict'], better, than)} {labels.directed(mean, low, high, measure)}{also}"
        return f"{over}: {found}; {evidence}."
    shown = f"{labels.amount(mean, measure)} {labels.interval(low, high, measure)}"
    said = not_shown(record) if record["verdict"] else record["reason"]
    return f"{over}: {said} between {better} and {than}: {shown}; {evidence}."


def not_shown(record: dict) -> str:
    """That no difference is shown, and whether one would be if nothing else had been asked."""
    adjusted = record["p"] <= 1 - CONFIDENCE_LEVEL < record["p_holm"]
    return f"{NOT_SHOWN} once adjusted for {labels.counted(int(record['family']), 'tests')}" if adjusted else NOT_SHOWN


def _evidence(record: dict) -> str:
    """How many replicates stand behind each set at the least."""
    replicates = labels.counted(int(record["n"]), labels.written(record["replicate"]))
    if record["replicate"] == "trials":
        return f"{replicates}{' of one checkpoint' if record['n_pretraining_seeds'] else ''} a set"
    return f"{replicates}{' against a single one' if record['n_pretraining_seeds'] == 1 else ''}"


def _sets(datasets: str) -> str:
    return labels.listed([labels.name(name) for name in datasets.split()])


def _beside(text: str, record: dict, frame: pd.DataFrame) -> str:
    """Text with the head or fraction, where there are several."""
    several = [record[factor] for factor in BESIDE_DATASETS if record[factor] and frame[factor].nunique() > 1]
    return ", ".join([text, *(labels.name(level) for level in several)])


def _why_not(record: dict) -> str:
    return f"{'missing' if record['status'] == MISSING else 'refused'}: {record['reason']}"


# --- ranks ----------------------------------------------------------------------------------------------------------


def _ranks(study: Study, mine: Mapping[str, pd.DataFrame], measure: labels.Measure) -> Part:
    frame = mine["ranks"]
    ordered = frame.sort_values("rank", kind="stable", na_position="last")
    beside = [factor for factor in study.columns if factor != "dataset" and frame[factor].nunique() > 1]
    rows = [
        (*(labels.name(record[factor]) for factor in (*beside, *study.rows)), *_rank_cells(record, measure))
        for _, group in (ordered.groupby(beside, sort=False) if beside else [("", ordered)])
        for record in group.to_dict("records")
    ]
    headings = [labels.capital(labels.name(factor)) for factor in (*beside, *study.rows)]
    number = f" ({measure.unit})" if measure.unit else ""
    headings += [f"Mean{number}", "Place", "95 % places", "Ties", f"Interquartile mean{number}", "Evidence"]
    said = (
        tuple(f"{labels.capital(reason)}." for reason in not_ranked_together(mine["entries"], study.columns))
        if rows
        else ()
    )
    measured = frame[frame["status"] == MEASURED]
    if len(measured):
        sets = _sets(measured["datasets"].iloc[0])
        covers = " and other ".join(map(labels.written, measured["variance_sources"].iloc[0].split(" and ")))
        said = (
            f"By the mean over {sets} ({', '.join(sources(measured['source']))}), each counting the same. The 95 % "
            f"places hold for all methods at once and for other {covers}; methods that share a letter were not told "
            "apart. The interquartile mean is a description: of all trials of all sets it leaves out the lowest and "
            "the highest quarter, so easy and hard sets count less.",
            *said,
        )
    texts = len(beside) + len(study.rows)
    title = "Ranks over data sets"
    return Part(title=title, headings=tuple(headings), rows=tuple(rows), texts=texts, last_text=True, sentences=said)


def _rank_cells(record: dict, measure: labels.Measure) -> tuple[str, ...]:
    if record["status"] != MEASURED:
        return "", "", "", "", "", _why_not(record)
    low, high = int(record["rank_low"]), int(record["rank_high"])
    replicates = labels.counted(int(record["n"]), labels.written(record["replicate"]))
    one = " of one checkpoint" if record["replicate"] == "trials" and record["n_pretraining_seeds"] else ""
    return (
        labels.number(record["mean"] * measure.scale, measure.decimals),
        str(int(record["rank"])),
        f"{low}" if low == high else f"{low}{labels.RANGE}{high}",
        record["tie_groups"],
        labels.number(record["iqm"] * measure.scale, measure.decimals),
        f"{replicates}{one} a set",
    )


def _profiles(study: Study, frame: pd.DataFrame, measure: labels.Measure) -> Part:
    """Shares of trials above thresholds, where these tell methods apart."""
    factors = [factor for factor in frame.columns if factor in (*study.rows, *study.columns)]
    shares = frame.pivot_table(index=factors, columns="threshold", values="share", sort=False)
    shares = shares.loc[:, (shares.max() > 0) & (shares.min() < 1)]
    above = tuple(f"> {labels.number(threshold * measure.scale, 0)}" for threshold in map(float, shares.columns))
    keys = shares.index.to_frame().itertuples(index=False)
    rows = [
        (*(labels.name(str(level)) for level in key), *(labels.number(100 * share, 0) for share in row))
        for key, row in zip(keys, shares.to_numpy(), strict=True)
    ]
    said = f"Share of trials (%) above each {measure.heading}, every data set counting the same."
    return Part(
        title="Performance profiles",
        headings=(*(labels.capital(labels.name(factor)) for factor in factors), *above),
        rows=tuple(rows) if above else (),
        texts=len(factors),
        sentences=(said,) if above and rows else (),
        folded=True,
    )


# --- variation ------------------------------------------------------------------------------------------------------


def _variation(study: Study, frame: pd.DataFrame, measure: labels.Measure) -> Part:
    """Deviation and share of variance by source and column: mean over the methods that tell most of it."""
    several, pretrained = (frame[frame["n_pretraining_seeds"] > least] for least in (1, 0))
    shown, whose = next(
        ((methods, whose) for methods, whose in ((several, SEVERAL), (pretrained, PRETRAINED)) if len(methods)),
        (frame[frame["kind"] == "method"], "the methods"),
    )
    columns = {_labels(key): inside for key, inside in shown.groupby(list(study.columns), sort=False)}
    reasons: dict[str, str] = {}
    rows = []
    for component, of_component in shown.groupby("component", sort=False):
        reasons |= {str(component): reason for reason in of_component["reason"] if reason}
        cells = (_component(inside, str(component), measure) for inside in columns.values())
        rows.append((labels.capital(str(component)), *cells))
    said = []
    if rows:
        unit = measure.difference_unit or measure.name
        said.append(
            f"Standard deviation in {unit} that each source gives to a single trial, and its share of the variance "
            f"that was identified; mean over {whose}. Test set: what another test set of this size would change."
        )
        said += [f"{labels.capital(name)}: {UNIDENTIFIED} ({reason})." for name, reason in reasons.items()]
    return Part(
        title="Where the variation comes from",
        headings=("Source", *columns),
        rows=tuple(rows),
        sentences=tuple(said),
    )


def _labels(key: Hashable) -> str:
    """The levels that pandas groups by, in words."""
    return ", ".join(labels.name(str(level)) for level in (key if isinstance(key, tuple) else (key,)))


def _component(inside: pd.DataFrame, component: str, measure: labels.Measure) -> str:
    mine = inside[inside["component"] == component]
    unidentified = set(inside.loc[inside["reason"] != "", "component"])
    if mine.empty or component in unidentified:
        return UNIDENTIFIED
    variance = float((mine["std"] ** 2).mean())
    total = float((inside.loc[~inside["component"].isin(unidentified), "std"] ** 2).sum()) / len(mine)
    share = f" ({labels.number(100 * variance / total, 0)} %)" if total else ""
    return f"{labels.number(math.sqrt(variance) * measure.scale, measure.decimals)}{share}"


def _seeds(frame: pd.DataFrame, measure: labels.Measure) -> Part:
    headings = ("Comparison", "Setting", "Difference", "Deviation of seeds", "Pre-training seeds", "Seeds needed")
    told = frame[frame["status"] == MEASURED]
    reasons = dict.fromkeys(frame.loc[frame["status"] != MEASURED, "reason"])
    said = [f"{labels.capital(reason)}." for reason in reasons]
    if len(told):
        said.insert(
            0,
            "Pre-training seeds on each side (or of the side that has several) that would show the difference on these "
            "test clips with a probability of 80 % in a single test at 0.05; in brackets the range that not knowing "
            "the deviation well leaves. Three is the least that is tested.",
        )
    elif said:
        said = [f"Not known: {'; '.join(reasons)}."]
    rows = tuple(_seeds_row(record, frame, measure) for record in told.to_dict("records"))
    return Part(title="Seeds needed", headings=headings, rows=rows, texts=2, last_text=True, sentences=tuple(said))


def _seeds_row(record: dict, frame: pd.DataFrame, measure: labels.Measure) -> tuple[str, ...]:
    setting = [
        labels.name(record[name])
        for name in SETTINGS
        if record[name] and (name == "dataset" or frame[name].nunique() > 1)
    ]
    return (
        *(record["comparison"], ", ".join(setting)),
        f"{labels.amount(record['wanted'], measure)} ({record['stated']})",
        labels.amount(record["std"], measure),
        str(int(record["n_pretraining_seeds"])),
        f"{_seed(record['seeds'])} ({_seed(record['seeds_low'])}{labels.RANGE}{_seed(record['seeds_high'])})",
    )


def _seed(count: object) -> str:
    return ">10,000" if pd.isna(count) else f"{count:,}"  # type: ignore[call-overload]
