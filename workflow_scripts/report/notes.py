"""Notes below a study's table: units and intervals, pre-training data, tests, missing numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, number_format
from workflow_scripts.report.class_notes import describe_classes
from workflow_scripts.report.labels import TWIN
from workflow_scripts.report.number_format import CONFIDENCE, SIGNIFICANCE, Measure
from workflow_scripts.statistics.estimation import CONFIDENCE_LEVEL, TEST_SET
from workflow_scripts.statistics.tables.schema import METHOD_FACTORS, MISSING

MAX_LISTED = 6  # entries named in a note about one reason; the table shows the reason in every entry
ON_TRAINING_DATA = "‡"  # mark of a number on data that others trained the encoder on
WARNINGS = "What these numbers cannot show"
UNKNOWN_SOURCE = "source unknown here"  # of a corpus that others pre-trained on
TWIN_WARNING = (
    "Source twin: a small synthetic data set in the layout of the real one. "
    "Twin numbers must not be compared with published numbers."
)


@dataclass(frozen=True, kw_only=True)
class NoteSection:
    """Notes about one subject; `warns` if they say what the numbers cannot show."""

    title: str
    notes: tuple[str, ...]
    warns: bool = False


def write_notes(
    study: Study, tables: Mapping[str, pd.DataFrame], measures: Sequence[Measure]
) -> tuple[NoteSection, ...]:
    """Return the notes on the study's rows of the result tables, printed as `measures`."""
    entries = tables["entries"]
    measured = entries[entries["status"] != MISSING]
    pretrained = measured[measured["n_pretraining_seeds"] > 0]
    sections = (
        ("Numbers", _on_numbers(measured, measures, deviations=study.deviations)),
        ("Training", (*_on_pretraining(pretrained), *_on_training(measured))),
        (WARNINGS, write_warnings(tables)),
        ("Tests", _on_comparisons(tables["comparisons"])),
        ("Data", (*_on_different_data(study, measured), *_on_missing(study, entries))),
        ("This study", filter(None, [study.notes])),
    )
    written = (NoteSection(title=title, notes=tuple(notes), warns=title == WARNINGS) for title, notes in sections)
    return tuple(section for section in written if section.notes)


def write_warnings(tables: Mapping[str, pd.DataFrame]) -> Iterable[str]:
    """Return the notes on a study's rows that say what its numbers cannot show; printed wherever the numbers are."""
    entries = tables["entries"]
    measured = entries[entries["status"] != MISSING]
    yield from _on_epoch_limits(measured)
    classes = tables["classes"]
    for dataset, metrics in measured.groupby("dataset", sort=False)["metric"].unique().items():
        yield from describe_classes(classes[classes["dataset"] == dataset], set(metrics))
    yield from _on_training_data(measured[measured["tested_on_training_data"] == "yes"])
    if measured[["source", "corpus_source"]].isin([TWIN]).any(axis=None):
        yield TWIN_WARNING


def _on_training_data(marked: pd.DataFrame) -> Iterable[str]:
    """Return which encoders were trained on data that they are tested on here."""
    for corpus, rows in marked.groupby("corpus", sort=False):
        yield (
            f"{ON_TRAINING_DATA} {labels.name(str(corpus))}: this encoder was trained on "
            f"{_join_labels(rows['dataset'])}, so the number does not show how well it does on new data."
        )


def _on_training(measured: pd.DataFrame) -> Iterable[str]:
    """Return the learning rates and limits of epochs of the trials, with what they are for where there are several.

    Where trials try several learning rates, their number is a budget of tuning that all methods share.
    """
    known = measured[measured["learning_rate"] != ""]
    if known.empty:
        return
    settings = []
    groups = known.groupby(["learning_rate", "n_learning_rates", "max_epochs"], sort=False)
    for _, rows in groups:
        rates, limit = rows["learning_rate"].iloc[0], int(rows["max_epochs"].iloc[0])
        used = [_join_labels(rows[factor]) for factor in ("scenario", "head") if known[factor].nunique() > 1]
        of_what = f" ({', '.join(used)})" if len(groups) > 1 and used else ""
        tried = int(rows["n_learning_rates"].iloc[0])
        rate = labels.join(rates.split())
        if tried > 1:
            rate = f"the one of {tried} learning rates ({rate}) with the lowest validation loss"
        elif " " in rates:
            rate = f"learning rates {rate}, one per phase"
        else:
            rate = f"learning rate {rate}"
        settings.append(f"{rate}, at most {number_format.count(limit, 'epochs')}{of_what}")
    is_tuned = (known["n_learning_rates"] > 1).all()
    yield (
        f"Training of each trial: {'; '.join(settings)}. Methods are compared with "
        + (
            "this budget of tuning only; a larger one may change a verdict."
            if is_tuned
            else "these settings only; another learning rate may change a verdict."
        )
    )


def _on_epoch_limits(measured: pd.DataFrame) -> Iterable[str]:
    """Return the number of trials that ended at the limit of epochs, by data set."""
    cells = measured[measured["n_at_max_epochs"].fillna(0) > 0].drop_duplicates(list(METHOD_FACTORS))
    if cells.empty:
        return
    by_dataset = cells.groupby("dataset", sort=False)["n_at_max_epochs"].sum()
    counts = [f"{count:,} on {labels.name(str(dataset))}" for dataset, count in by_dataset.items()]
    total = number_format.count(int(by_dataset.sum()), "trials")
    yield (
        f"{total} ended at the limit of epochs, not because validation had stopped improving "
        f"({', '.join(counts)}): a higher limit (max_epochs) may change these numbers."
    )


def _join_labels(levels: pd.Series) -> str:
    return labels.join([labels.name(str(level)) for level in dict.fromkeys(levels)])


def _on_different_data(study: Study, measured: pd.DataFrame) -> Iterable[str]:
    for levels, column in measured.groupby(list(study.columns), sort=False):
        if column["data_digest"].nunique() > 1:
            names = ", ".join(labels.name(str(level)) for level in levels)
            yield f"{names}: measured on different data, so not ranked."


def _on_missing(study: Study, entries: pd.DataFrame) -> Iterable[str]:
    """Return the number of missing entries, then the reasons, each with the entries it applies to."""
    n_missing = int((entries["status"] == MISSING).sum())
    if n_missing:
        numbers, verb = number_format.count(n_missing, "numbers"), "is" if n_missing == 1 else "are"
        yield f"{numbers} of {len(entries):,} {verb} missing; the table gives the reason in each place."
    for reason, of_reason in entries[entries["reason"] != ""].groupby("reason", sort=False):
        missing = [
            ", ".join(labels.name(record[factor]) for factor in (*study.rows, *study.columns))
            for record in of_reason.to_dict("records")
        ]
        names = list(dict.fromkeys(missing))  # an entry that lacks several metrics for one reason is named once
        more = f" and {len(names) - MAX_LISTED:,} more" if len(names) > MAX_LISTED else ""
        yield f"{'; '.join(names[:MAX_LISTED])}{more}: {reason}."


def _on_pretraining(pretrained: pd.DataFrame) -> Iterable[str]:
    """Return the corpora with their sources, and the limits of a single pre-training seed."""
    if pretrained.empty:
        return
    corpora = pretrained[["corpus", "corpus_source", "trained_on"]].drop_duplicates().itertuples(index=False)
    named = "; ".join(
        f"{labels.name(corpus)} ({source or (f'by others, on {others}' if others else UNKNOWN_SOURCE)})"
        for corpus, source, others in corpora
    )
    yield f"Pre-trained on {named}."
    for corpus, short in pretrained[["corpus", "short_clips"]].drop_duplicates().itertuples(index=False):
        if short:
            yield f"{labels.name(corpus)}: {short} training clips are shorter than a chunk and were not used."
    single = pretrained["n_pretraining_seeds"] == 1
    if single.any():
        rows = "" if single.all() else " (rows with 1 in the column of pre-training seeds)"
        yield (
            f"One pre-training seed{rows}: the results are those of this one encoder, not of the method; another "
            "pre-training seed may score differently."
        )


def _on_numbers(measured: pd.DataFrame, measures: Sequence[Measure], *, deviations: bool) -> Iterable[str]:
    """Return what the numbers beside the means are, which variance the intervals cover, and what the marks mean."""
    names, units = labels.join([measure.name for measure in measures]), {measure.unit for measure in measures}
    in_unit = f" in {units.pop()}" if len(units) == 1 and units != {""} else ""
    kinds = [covered for covered in dict.fromkeys(measured["variance_sources"]) if covered]
    spans = ", or for ".join(f"other {_join_sources(covered)}" for covered in kinds) or "other trials"
    yield (
        f"{labels.capital(names)}{in_unit}: mean ± half the width, or mean [ends], of its {CONFIDENCE} interval for "
        f"{spans}."
    )
    if deviations:
        yield "SD: standard deviation over the trials, or over the pre-training seeds where there are several."
    if any(TEST_SET in covered for covered in kinds):
        yield (
            "Other test clips: the test set is resampled 1,000 times in whole clusters (one artist, song or "
            "recording). The csv file has the standard error of each source of variance."
        )
    if not all(TEST_SET in covered for covered in measured["variance_sources"]):
        yield "Intervals that do not name other test clips are about these test clips only."
    if (measured["rank_mark"] != "").any():
        yield (
            f"★ highest mean of the column; † not significantly different from it at {SIGNIFICANCE}, after Bonferroni "
            "correction over all pairs of rows in the column."
        )


def _join_sources(covered: str) -> str:
    """Return an enumeration of variance sources that the statistics join by "and"."""
    return labels.join([labels.variance_source(source) for source in covered.split(" and ")])


def _on_comparisons(comparisons: pd.DataFrame) -> Iterable[str]:
    """Return how differences were tested."""
    if not comparisons["family_size"].any():
        return
    tests = number_format.count(int(comparisons["family_size"].max()), "tests")
    yield (
        f"Comparisons: difference with its {CONFIDENCE} interval. Intervals are not adjusted for the number of "
        "tests; where the adjusted verdict differs, the interval is marked “unadjusted”. d_z is the mean difference "
        "divided by the standard deviation of the paired differences; p (t) and p (sign flip) are about these test "
        "clips only, the latter without assuming a normal distribution; p (Holm) is p (t) after Holm's correction over "
        f"{tests} in this study."
    )
    if comparisons["variance_sources"].str.contains(TEST_SET).any():
        yield (
            f"The verdict uses the last p value ({SIGNIFICANCE}, Holm's correction), which covers other test clips "
            "too; a difference that is significant only without that variance is labelled “on these test clips only”."
        )
    unpaired = comparisons["design"] == "unpaired"
    if (unpaired & (comparisons["replicate"] == "trials")).any():
        yield (
            "Unpaired: the trials of the two sides share no seeds, so they are compared as independent samples "
            "(Welch's test); d_z is in units of the root mean square of both standard deviations."
        )
    if (comparisons["replicate"] == "pretraining seeds").any():
        yield (
            "Pre-training seeds: where a method has several, the pre-training seed is the unit of analysis, because "
            "many trials of few seeds do not represent the method. The variance between trials is added, and d_z is in "
            "units of the standard deviation between seeds or their pairs."
        )
    yield from _on_sign_flips(comparisons[comparisons["sign_flip_p"].notna()])


def _on_sign_flips(tested: pd.DataFrame) -> Iterable[str]:
    """Return a note if the smallest possible p value of a sign-flip test, 2 / 2^n, is not significant."""
    fewest = tested[["n", "n_reference"]].max(axis=1).min()
    if len(tested) and 0.5 ** (fewest - 1) > 1 - CONFIDENCE_LEVEL:
        smallest = number_format.p_value(0.5 ** (fewest - 1))
        yield f"With {fewest} differences the sign-flip test cannot reach significance (smallest p = {smallest})."
