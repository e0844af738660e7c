"""Columns of the tables about studies, and reading them back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.planning.layout import STATISTICS_FILES
from workflow_scripts.statistics.contrasts import METHOD_FACTORS, SETTINGS
from workflow_scripts.statistics.csv_io import Kind, read_csv, require_aggregated

MEASURED, MISSING, REFUSED = "measured", "missing", "refused"
BETTER, WORSE, NOT_SHOWN = "better", "worse", "no difference shown"
BEST, TIED = "best", "tied"
FIXED_TEST_SET = "fixed_test_set_"  # prefix of the columns about these test clips alone

#: factors of a comparison across data sets, and of the methods of a ranking
BESIDE_DATASETS = tuple(factor for factor in SETTINGS if factor != "dataset")
RANKED_FACTORS = tuple(factor for factor in METHOD_FACTORS if factor != "dataset")

#: standard errors by source of variance, their sum and its degrees of freedom
STANDARD_ERRORS = ("se_pretraining_seed", "se_trial", "se_test_set", "std_error", "df")

CELL_COLUMNS = (
    *FACTORS,
    *"metric status reason mean std ci_low ci_high variance_sources".split(),
    *"n_trials test_clips quarantined source data_digest studies trained_on tested_on_training_data".split(),
)
ENTRY_COLUMNS = (
    *"study metric kind".split(),
    *METHOD_FACTORS,
    *"pretrain_seeds status reason caveat mean std ci_low ci_high variance_sources".split(),
    *STANDARD_ERRORS,
    *"replicate n_trials n_pretraining_seeds test_clips clusters quarantined source data_digest".split(),
    *"corpus_source short_clips rank_mark learning_rate n_learning_rates max_epochs n_at_max_epochs".split(),
    *"trained_on tested_on_training_data".split(),
)
COMPARISON_COLUMNS = (
    *"study comparison metric".split(),
    *SETTINGS,
    *"status reason caveat design replicate n n_reference mean ci_low ci_high p p_holm family_size".split(),
    *"verdict variance_sources".split(),
    *STANDARD_ERRORS,
    *"effect sign_flip_p fixed_test_set_ci_low fixed_test_set_ci_high fixed_test_set_p".split(),
    *"fixed_test_set_p_holm fixed_test_set_verdict".split(),
    *"n_pretraining_seeds test_clips clusters source treatment reference".split(),
)
ACROSS_COLUMNS = (
    *"study comparison metric".split(),
    *BESIDE_DATASETS,
    *"datasets n_datasets status reason caveat mean ci_low ci_high p p_holm family_size verdict".split(),
    *"variance_sources std_error df replicate n n_pretraining_seeds source".split(),
)
RANK_COLUMNS = (
    *"study metric kind".split(),
    *RANKED_FACTORS,
    *"datasets n_datasets status reason caveat mean rank rank_low rank_high tie_groups iqm".split(),
    *"replicate n n_pretraining_seeds variance_sources source".split(),
)
PROFILE_COLUMNS = ("study", "metric", "kind", *RANKED_FACTORS, "datasets", "n_datasets", "threshold", "share")
VARIANCE_COLUMNS = (
    *"study metric kind".split(),
    *METHOD_FACTORS,
    *"component std share reason n_pretraining_seeds n_trials source".split(),
)
SEED_COLUMNS = (
    *"study comparison metric".split(),
    *SETTINGS,
    *"status reason target_difference target_origin std n_pretraining_seeds seeds seeds_low seeds_high".split(),
)
CLASS_COLUMNS = (*"dataset class task train_clips valid_clips test_clips observed_test_clips".split(),)
#: columns by table, as files without their ending
TABLES = {
    "entries": ENTRY_COLUMNS,
    "comparisons": COMPARISON_COLUMNS,
    "across": ACROSS_COLUMNS,
    "ranks": RANK_COLUMNS,
    "profiles": PROFILE_COLUMNS,
    "variance": VARIANCE_COLUMNS,
    "seeds": SEED_COLUMNS,
    "classes": CLASS_COLUMNS,
}

_NUMBERS = (
    *"mean std ci_low ci_high effect p p_holm sign_flip_p share threshold iqm target_difference".split(),
    *"fixed_test_set_ci_low fixed_test_set_ci_high fixed_test_set_p fixed_test_set_p_holm".split(),
    *STANDARD_ERRORS,
)
_COUNTS = (
    *"n_trials n_pretraining_seeds test_clips clusters quarantined n n_reference family_size".split(),
    *"n_datasets rank rank_low rank_high seeds seeds_low seeds_high".split(),
    *"n_learning_rates max_epochs n_at_max_epochs train_clips valid_clips observed_test_clips".split(),
)
#: kinds of the columns that are not text
KINDS: dict[str, Kind] = {
    **dict.fromkeys(_NUMBERS, "number"),
    **dict.fromkeys(_COUNTS, "count"),
}


def to_frame(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> pd.DataFrame:
    """Return rows as a table; counts stay whole numbers where some are missing, and missing text is empty."""
    frame = pd.DataFrame(list(rows), columns=list(columns))
    kinds = {column: KINDS.get(column, "text") for column in columns}
    frame = frame.astype({column: "Int64" for column, kind in kinds.items() if kind == "count"})
    frame = frame.astype({column: "float64" for column, kind in kinds.items() if kind == "number"})
    texts = [column for column, kind in kinds.items() if kind == "text"]
    frame[texts] = frame[texts].astype(object).where(frame[texts].notna(), "")
    return frame


def join_distinct(words: Iterable[str]) -> str:
    """Join different words in one text, in their order."""
    return " ".join(dict.fromkeys(words))


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Read every table about studies that `aggregate` wrote; `UserError` names one that is absent or damaged."""
    checked = ("entries", "comparisons")  # the tables that all others go with
    return {
        name: read_table(folder / STATISTICS_FILES[name], columns=columns if name in checked else ())
        for name, columns in TABLES.items()
    }


def read_table(path: Path, *, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Read back a table: text stays text, absent numbers are missing.

    `UserError` names a file that is absent, damaged or without one of `columns`.
    """
    require_aggregated(path)
    try:
        kinds = {str(name): KINDS.get(str(name), "text") for name in pd.read_csv(path, nrows=0).columns}
        table = read_csv(path, kinds)
    except ValueError as error:  # UnicodeDecodeError is one, and so is what pandas raises
        raise UserError(f"{path}: not a table ({error}); run aggregate again") from error
    absent = [column for column in columns if column not in kinds]
    if absent:
        raise UserError(f"{path}: no column {', '.join(absent)}: of another version; run aggregate again")
    # single values of small groups of rows are read from these tables, for which pandas' own text is slow
    return table.astype({name: object for name, kind in kinds.items() if kind == "text"})
