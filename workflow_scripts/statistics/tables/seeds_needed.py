"""The table of seeds: pre-training seeds that would show each difference."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from workflow_scripts.statistics.contrasts import Contrast
from workflow_scripts.statistics.estimation import Difference
from workflow_scripts.statistics.guards import too_few_reason
from workflow_scripts.statistics.inference.power import seeds_needed
from workflow_scripts.statistics.samples import TrialSample, pair_by_seed
from workflow_scripts.statistics.tables.schema import MEASURED, REFUSED, SEED_COLUMNS, to_frame

POINTS = 100  # studies state differences as they are printed, in percent


def seeds_table(contrasts: Sequence[Contrast]) -> pd.DataFrame:
    """Build one row per contrast: the pre-training seeds that show it with 80 % power (columns `SEED_COLUMNS`).

    `target_difference` is the one a study declares in `detect`, otherwise the observed one (`target_origin`). Contrasts
    without a pre-trained side have no row.
    """
    return to_frame(
        [
            _row(contrast, contrast.difference)
            for contrast in contrasts
            if isinstance(contrast.difference, Difference)
            and (_pretrained(contrast.treatment) or _pretrained(contrast.reference))
        ],
        SEED_COLUMNS,
    )


def _pretrained(samples: Sequence[TrialSample]) -> bool:
    return any(sample.pretrained for sample in samples)


def _row(contrast: Contrast, difference: Difference) -> dict[str, object]:
    detect = contrast.study.detect
    target = abs(difference.mean) if detect is None else detect / POINTS
    row: dict[str, object] = {
        "study": contrast.study.name,
        "comparison": contrast.comparison.name,
        "metric": contrast.study.metric,
        **contrast.setting,
        "target_difference": target,
        "target_origin": "observed" if detect is None else "declared",
        "n_pretraining_seeds": max(len(side) for side in (contrast.treatment, contrast.reference)),
    }
    refusal = _why_unknown(contrast, target)
    if refusal:
        return row | {"status": REFUSED, "reason": refusal}
    # standard deviation between the means of the seeds, or between the differences of pairs
    pairs, left, right = pair_by_seed(contrast.treatment, contrast.reference)
    sides = [np.array([sample.values.mean() for sample in side]) for side in (left, right)]
    several = [sides[0] - sides[1]] if pairs else [means for means in sides if len(means) > 1]
    std = math.sqrt(float(np.mean([means.var(ddof=1) for means in several])))
    needed = seeds_needed(
        target,
        std=std,
        df=sum(len(means) - 1 for means in several),
        sides=2 if len(several) > 1 else 1,
    )
    return row | {
        "status": MEASURED,
        "reason": "",
        "std": std,
        "seeds": needed.seeds,
        "seeds_low": needed.low,
        "seeds_high": needed.high,
    }


def _why_unknown(contrast: Contrast, target: float) -> str:
    sizes = [len(side) for side in (contrast.treatment, contrast.reference) if len(side) > 1]
    few = too_few_reason(min(sizes, default=1), of="pretraining seeds")
    if few:
        why = few if sizes else "one pre-training seed does not show how much seeds differ"
        return f"{why}; run at least three pre-training seeds"
    return "" if target else "no difference was observed; state one in `detect`"
