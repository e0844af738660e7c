"""One made-up study per kind of figure, as large as the paper's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.figures import made
from tests.results import Results

SIZES = ("100pct", "75pct", "50pct", "35pct", "20pct", "10pct")


def dots(folder: Path) -> Results:
    """Fig. 2."""
    grid = {
        "encoder": ["pase", "pase_plus"],
        "scenario": ["supervised", "frozen", "fine_tuned"],
        "dataset": made.DATASETS,
    }
    gain = {"supervised": 0.1, "frozen": 0.15, "fine_tuned": 0.2}
    return made.study(
        folder,
        figure={"kind": "dots"},
        rows=["encoder", "scenario"],
        grid=grid,
        value=lambda cell: 0.3 + gain[cell["scenario"]] + 0.05 * (cell["encoder"] == "pase_plus"),
        floors=["random", "random_plus", "handcrafted"],
    )


def weightings(folder: Path) -> Results:
    """Fig. 3."""
    return made.study(
        folder,
        figure={"kind": "weightings"},
        rows=["workers", "weighting"],
        grid={"workers": made.WORKER_SETS, "weighting": ["equal", "reweighted"], "dataset": made.DATASETS},
        value=lambda cell: 0.4 + 0.01 * len(cell["workers"]) * (2 if cell["weighting"] == "reweighted" else 1),
        floors=["random_plus", "handcrafted"],
    )


def losses(folder: Path) -> Results:
    """Fig. 4."""
    results = made.study(
        folder,
        figure={"kind": "losses"},
        rows=["weighting"],
        grid={"weighting": ["equal", "reweighted"], "dataset": ["openmic"]},
    )
    made.lose(results)
    return results


def relative(folder: Path) -> Results:
    """Fig. 5."""
    return made.study(
        folder,
        figure={"kind": "relative", "baseline": {"workers": "WLP"}},
        rows=["workers"],
        grid={"workers": made.WORKER_SETS, "dataset": made.DATASETS},
        value=lambda cell: 0.5 + 0.04 * ("T" in cell["workers"]) - 0.01 * ("C" in cell["workers"]),
    )


def confusions(folder: Path) -> Results:
    """Fig. 6."""
    pairs = [("WLPT", "WLP"), ("WLPMCT", "WLPT")]
    results = made.study(
        folder,
        figure={
            "kind": "confusions",
            "matrix": {"workers": "WLP"},
            "differences": [{"of": {"workers": of}, "over": {"workers": over}} for of, over in pairs],
        },
        rows=["workers"],
        grid={"workers": ["WLP", "WLPT", "WLPMCT"], "dataset": ["extended_ballroom"]},
    )
    made.predict(results)
    return results


def training_sizes(folder: Path) -> Results:
    """Fig. 8: fine-tuning better from some 1,300 samples on, always, and never."""

    def value(cell: made.Cell) -> float:
        share = float(cell["fraction"].removesuffix("pct")) / 100
        lead = {"openmic": 0.06 * (share - 0.33), "fma_small": -0.05, "extended_ballroom": 0.05}[cell["dataset"]]
        return float(0.4 + 0.1 * share + lead * (cell["scenario"] == "fine_tuned"))

    return made.study(
        folder,
        figure={"kind": "training_sizes"},
        rows=["scenario", "fraction"],
        grid={"scenario": ["frozen", "fine_tuned"], "fraction": SIZES, "dataset": made.DATASETS},
        value=value,
    )


def ranks(folder: Path) -> Results:
    """Worker sets ranked over three data sets: two that are worse everywhere, and floors."""
    return made.study(
        folder,
        figure={"kind": "ranks"},
        rows=["workers", "weighting"],
        grid={"workers": made.WORKER_SETS, "weighting": ["equal", "reweighted"], "dataset": made.DATASETS},
        value=lambda cell: 0.45 if cell["workers"] == "WLP" else 0.5 + 0.004 * len(cell["workers"]),
        floors=["random_plus", "handcrafted"],
    )


BY_KIND: dict[str, Callable[[Path], Results]] = {
    study.__name__: study for study in (dots, weightings, losses, relative, confusions, training_sizes, ranks)
}
