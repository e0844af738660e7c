"""The tables of numbers behind every table of words: per cell, per study entry and per comparison."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.planning.manifest import Evaluation, Manifest
from workflow_scripts.statistics.contrasts import METHOD_FACTORS, SETTINGS, Contrast, TableEntry, named
from workflow_scripts.statistics.csv_io import Kind, read_csv
from workflow_scripts.statistics.estimation import Difference, StandardErrors, compare_methods, estimate_mean
from workflow_scripts.statistics.guards import one_checkpoint, too_few
from workflow_scripts.statistics.inference.confidence_intervals import CONFIDENCE_LEVEL, mean_interval
from workflow_scripts.statistics.inference.hypothesis_tests import holm
from workflow_scripts.statistics.samples import (
    NotComparable,
    TrialSample,
    TrialSamples,
    fewest_checkpoints,
    why_not_comparable,
)
from workflow_scripts.statistics.test_set_bootstrap import BootstrapReplicates

STANDARD_ERRORS = ("se_pretraining_seed", "se_trial", "se_test_set", "std_error", "df")
#: names of the tables that are about studies, as files without their ending
TABLES = ("entries", "comparisons", "across", "ranks", "profiles", "variance", "seeds")
KINDS: dict[str, Kind] = {
    **dict.fromkeys(("mean", "std", "ci_low", "ci_high", "effect", "p", "p_holm", *STANDARD_ERRORS), "number"),
    **dict.fromkeys(
        ("fixed_test_set_ci_low", "fixed_test_set_ci_high", "fixed_test_set_p", "fixed_test_set_p_holm", "sign_flip_p"),
        "number",
    ),
    **dict.fromkeys(
        ("trials", "n_pretraining_seeds", "test_clips", "clusters", "quarantined", "n", "n_reference", "family"),
        "count",
    ),
    **dict.fromkeys(("share", "threshold", "iqm", "wanted", "std"), "number"),
    **dict.fromkeys(("sets", "rank", "rank_low", "rank_high", "seeds", "seeds_low", "seeds_high"), "count"),
}
MEASURED, MISSING, REFUSED = "measured", "missing", "refused"
BETTER, WORSE, NOT_SHOWN = "better", "worse", "no difference shown"

CELL_COLUMNS = (
    *FACTORS,
    *("metric", "status", "reason", "mean", "std", "ci_low", "ci_high", "trials"),
    *("test_clips", "quarantined", "source", "data", "studies"),
)
ENTRY_COLUMNS = (
    *("study", "metric", "kind"),
    *METHOD_FACTORS,
    *("pretrain_seeds", "status", "reason", "mark", "mean", "ci_low", "ci_high", "variance_sources", *STANDARD_ERRORS),
    *("replicate", "trials", "n_pretraining_seeds", "test_clips", "clusters", "quarantined", "source", "data"),
    *("corpus_source", "best_or_tied"),
)
COMPARISON_COLUMNS = (
    *("study", "comparison", "metric"),
    *SETTINGS,
    *(
        "status",
        "reason",
        "mark",
        "design",
        "replicate",
        "n",
        "n_reference",
        "mean",
        "ci_low",
        "ci_high",
        "p",
        "p_holm",
        "family",
    ),
    *("verdict", "variance_sources", *STANDARD_ERRORS, "effect", "sign_flip_p"),
    *(
        "fixed_test_set_ci_low",
        "fixed_test_set_ci_high",
        "fixed_test_set_p",
        "fixed_test_set_p_holm",
        "fixed_test_set_verdict",
    ),
    *("n_pretraining_seeds", "test_clips", "clusters", "source", "treatment", "reference"),
)


def cell_table(plan: Manifest, samples: TrialSamples) -> pd.DataFrame:
    """One row per planned cell and metric (columns `CELL_COLUMNS`), missing cells with the reason; in planned order.

    The interval is over the trials, on these test clips.
    """
    rows = []
    for evaluation in plan.evaluations:
        for metric in samples.metrics(evaluation) or [""]:
            rows.append(_cell_row(evaluation, metric, samples))
    return frame(rows, CELL_COLUMNS)


def _cell_row(evaluation: Evaluation, metric: str, samples: TrialSamples) -> dict[str, object]:
    row: dict[str, object] = {
        **evaluation.factors,
        "metric": metric,
        "studies": " ".join(sorted(evaluation.studies)),
        "reason": samples.reason_missing(evaluation, metric),
    }
    row["status"] = MISSING if row["reason"] else MEASURED
    sample = samples.get(evaluation, metric)
    if sample is None:
        return row
    interval = mean_interval(sample.values)
    return row | {
        **{
            "mean": interval.mean,
            "std": interval.std,
            "ci_low": interval.low,
            "ci_high": interval.high,
            "trials": interval.n,
        },
        **{
            "test_clips": sample.test_clips,
            "quarantined": sample.quarantined,
            "source": sample.source,
            "data": sample.data,
        },
    }


def entry_table(
    entries: Sequence[TableEntry], replicates: BootstrapReplicates, *, corpora: Mapping[str, str] = MappingProxyType({})
) -> pd.DataFrame:
    """One row per entry of the studies' tables (columns `ENTRY_COLUMNS`), checkpoints of a method taken together.

    `low` and `high` are for other trials, checkpoints and test clips as far as `covers` says; the errors are the
    standard errors that each contributes. `corpora` are the sources of the prepared corpora, of which `corpus_source`
    tells that of the pre-training corpus.
    """
    rows = [_entry_row(entry, replicates, corpora) for entry in entries]
    by_column: dict[tuple[object, ...], dict[int, TableEntry]] = {}
    for number, entry in enumerate(entries):
        if entry.samples:
            by_column.setdefault((entry.study.name, entry.study.metric, entry.column), {})[number] = entry
    for in_column in by_column.values():
        means = {number: float(rows[number]["mean"]) for number in in_column}  # type: ignore[arg-type]
        for number, rank in _ranks(in_column, means, replicates).items():
            rows[number]["best_or_tied"] = rank
    return frame(rows, ENTRY_COLUMNS)


def _entry_row(entry: TableEntry, replicates: BootstrapReplicates, corpora: Mapping[str, str]) -> dict[str, object]:
    row: dict[str, object] = {
        **entry.levels,
        "study": entry.study.name,
        "metric": entry.study.metric,
        "kind": "floor" if entry.floor else "method",
        "pretrain_seeds": " ".join(sample.pretrain_seed for sample in entry.samples),
        "status": MEASURED if entry.samples else MISSING,
        "reason": entry.reason,
        "best_or_tied": "",
    }
    if not entry.samples:
        return row
    made = estimate_mean(entry.samples, replicates)
    few = too_few(made.n, of=made.replicate)
    return row | {
        **{"mean": made.mean, "ci_low": made.spread.low, "ci_high": made.spread.high, "replicate": made.replicate},
        **_errors(made.errors, made.spread.std_error, made.spread.df),
        **_evidence([entry.samples], made.clusters),
        "reason": "; ".join(filter(None, [entry.reason, few.reason if few else ""])),
        "trials": min(len(sample.values) for sample in entry.samples),
        "quarantined": entry.samples[0].quarantined,
        "data": joined(sample.data for sample in entry.samples),
        "corpus_source": corpora.get(entry.levels["corpus"], ""),
    }


def _errors(errors: StandardErrors, error: float, df: float) -> dict[str, object]:
    return {
        "variance_sources": " and ".join(errors.variance_sources),
        "se_pretraining_seed": errors.pretraining_seed,
        "se_trial": errors.trial,
        "se_test_set": errors.test_set,
        **{"std_error": error, "df": df},
    }


def _evidence(sides: Sequence[Sequence[TrialSample]], groups: int) -> dict[str, object]:
    """What stands behind a number: checkpoints, the mark of a single one, test clips and where the data came from."""
    checkpoints = fewest_checkpoints(*sides)
    mark = one_checkpoint(checkpoints)
    return {
        "n_pretraining_seeds": checkpoints,
        "mark": mark.reason if mark else "",
        "test_clips": sides[0][0].test_clips,
        "clusters": groups or None,
        "source": joined(sample.source for side in sides for sample in side),
    }


def _ranks(
    measured: Mapping[int, TableEntry], means: Mapping[int, float], replicates: BootstrapReplicates
) -> dict[int, str]:
    """Mark the highest mean of a column "best" and what was not shown to differ from it "tied".

    The best was picked from all, so p is adjusted for every pair of the column (Bonferroni): without that, some of
    twenty equal methods lack the mark in seven of eight columns. A column measured on different data, or with a single
    entry, is not ranked.
    """
    if len(measured) < 2 or why_not_comparable([sample for entry in measured.values() for sample in entry.samples]):
        return {}
    best = max(means, key=lambda number: means[number])
    pairs = math.comb(len(measured), 2)
    ranks = {}
    for number, entry in measured.items():
        compared = None if number == best else compare_methods(measured[best].samples, entry.samples, replicates)
        if compared is None or not _shown(compared, tests=pairs):
            ranks[number] = "best" if number == best else "tied"
    return ranks


def _shown(compared: Difference | NotComparable, *, tests: int) -> bool:
    """Whether one of so many differences is above zero beyond chance; nothing is shown where there is no test.

    A difference that is the same in every trial has an interval and no p: it is.
    """
    return (
        isinstance(compared, Difference) and compared.spread.low > 0 and not compared.p * tests > 1 - CONFIDENCE_LEVEL
    )


def comparison_table(contrasts: Sequence[Contrast]) -> pd.DataFrame:
    """One row per question (columns `COMPARISON_COLUMNS`); Holm over all tests of a study.

    `p`, `low`, `high` and the verdict are for other test clips too, as far as `covers` says; `same_clips_...` are for
    these test clips alone.
    """
    rows = [_comparison_row(contrast) for contrast in contrasts]
    for study in dict.fromkeys(contrast.study.name for contrast in contrasts):
        adjust([row for row in rows if row["study"] == study])
    return frame(rows, COMPARISON_COLUMNS)


def adjust(family: Sequence[dict[str, object]]) -> None:
    """Add to the rows of one family their p adjusted by Holm, its size and the verdicts."""
    for prefix in ("", "fixed_test_set_"):
        adjusted = holm([_number(row, f"{prefix}p") for row in family])
        for row, p in zip(family, adjusted, strict=True):
            row[f"{prefix}p_holm"] = p
            row[f"{prefix}verdict"] = _verdict(row, p)
    tested = sum(math.isfinite(_number(row, "p")) for row in family)
    for row in family:
        row["family"] = tested


def _number(row: Mapping[str, object], name: str) -> float:
    return float(row.get(name, math.nan))  # type: ignore[arg-type]


def _verdict(row: Mapping[str, object], p_holm: float) -> str:
    if not math.isfinite(p_holm):
        return ""
    if p_holm > 1 - CONFIDENCE_LEVEL:
        return NOT_SHOWN
    return BETTER if _number(row, "mean") > 0 else WORSE


def _comparison_row(contrast: Contrast) -> dict[str, object]:
    row: dict[str, object] = {
        "study": contrast.study.name,
        "comparison": contrast.comparison.name,
        "metric": contrast.study.metric,
        **contrast.setting,
        "treatment": named(contrast.comparison.treatment),
        "reference": named(contrast.comparison.reference),
    }
    made = contrast.difference
    if made is None:
        return row | {"status": MISSING, "reason": contrast.reason}
    if isinstance(made, NotComparable):
        return row | {"status": REFUSED, "reason": made.reason}
    return row | {
        **{"status": MEASURED, "reason": made.reason, "design": made.design, "replicate": made.replicate},
        **{"n": made.sizes[0], "n_reference": made.sizes[1], "mean": made.mean, "p": made.p},
        **{
            "ci_low": made.spread.low,
            "ci_high": made.spread.high,
            "effect": made.effect,
            "sign_flip_p": made.sign_flip_p,
        },
        **{"fixed_test_set_ci_low": made.fixed_test_set.low, "fixed_test_set_ci_high": made.fixed_test_set.high},
        "fixed_test_set_p": made.fixed_test_set_p,
        **_errors(made.errors, made.spread.std_error, made.spread.df),
        **_evidence([contrast.treatment, contrast.reference], made.clusters),
    }


def joined(words: Iterable[str]) -> str:
    """Different words in one text, in their order."""
    return " ".join(dict.fromkeys(words))


def frame(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> pd.DataFrame:
    """Rows as a table; counts stay whole numbers where some are missing, and missing text is empty."""
    made = pd.DataFrame(list(rows), columns=list(columns))
    kinds = {column: KINDS.get(column, "text") for column in columns}
    made = made.astype({column: "Int64" for column, kind in kinds.items() if kind == "count"})
    made = made.astype({column: "float64" for column, kind in kinds.items() if kind == "number"})
    texts = [column for column, kind in kinds.items() if kind == "text"]
    made[texts] = made[texts].astype(object).where(made[texts].notna(), "")
    return made


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Every table about studies that `aggregate` wrote, by name; `UserError` names one that is absent or damaged."""
    columns = {"entries": ENTRY_COLUMNS, "comparisons": COMPARISON_COLUMNS}
    return {name: read_table(folder / f"{name}.csv", columns=columns.get(name, ())) for name in TABLES}


def read_table(path: Path, *, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Read back a table of this module: text stays text, numbers that are not there are missing.

    `UserError` names a file that is absent, damaged or without one of `columns`.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; run aggregate first")
    try:
        kinds = {str(name): KINDS.get(str(name), "text") for name in pd.read_csv(path, nrows=0).columns}
        table = read_csv(path, kinds)
    except ValueError as error:  # UnicodeDecodeError is one, and so is what pandas raises
        raise UserError(f"{path}: not a table ({error}); run aggregate again") from error
    absent = [column for column in columns if column not in kinds]
    if absent:
        raise UserError(f"{path}: no column {', '.join(absent)}: of another version; run aggregate again")
    # what follows looks at single values of small groups of rows, for which pandas' own text is slow
    return table.astype({name: object for name, kind in kinds.items() if kind == "text"})
