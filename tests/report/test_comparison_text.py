from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.report.aggregated_study import build_table
from tests.synthetic_results import Results, factors
from workflow_scripts.report.comparison_text import count_verdicts

NOISE = np.array([0.01, -0.01, 0.02, 0.0, -0.02])


def results_on_one_data_set(folder: Path) -> Results:
    """Return results of a comparison whose sides both name the data set."""
    results = Results(folder)
    comparison = results.manifest["studies"]["fig2"]["comparisons"][0]
    for side in ("better", "than"):
        comparison[side]["dataset"] = "openmic"
    results.manifest["studies"]["fig2"]["comparisons"] = [comparison]
    results.add(factors("pase", "frozen", "openmic"), 0.5 + NOISE)
    results.add(factors("random", "frozen", "openmic"), 0.4 - NOISE)
    return results


def test_a_data_set_that_both_sides_name_is_the_setting(tmp_path: Path) -> None:
    (comparison,) = build_table(results_on_one_data_set(tmp_path)).comparisons
    assert comparison.setting == "OpenMIC (twin)"
    assert comparison.sentence.startswith("OpenMIC (twin): frozen PASE beats random weights by ")


def test_counts_are_in_the_order_of_the_verdicts(tmp_path: Path) -> None:
    (comparison,) = build_table(results_on_one_data_set(tmp_path)).comparisons
    verdicts = (
        "missing: not run",
        "2 trials: no interval from fewer than three",
        "no difference shown",
        "not comparable: measured on different data",
        "worse on these test clips only",
        "better on these test clips only",
        "worse",
        "better",
        "better",
    )
    assert count_verdicts([replace(comparison, verdict=verdict) for verdict in verdicts]) == (
        "Of 9 comparisons: 2 better; 1 worse; 1 better on these test clips only; 1 worse on these test clips only; "
        "1 with no difference shown; 1 without a test; 1 not comparable; 1 missing."
    )
