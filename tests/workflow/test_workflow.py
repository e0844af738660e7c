"""The workflow as a user runs it: the smoke DAG end to end, then the jobs that each kind of change runs again.

Every edit is made in a copy of the repository with finished results; the planned jobs are compared with the expected
set exactly.
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from safetensors import safe_open
from scipy import stats
from sklearn.metrics import confusion_matrix

from tests.browser import hidden_width, open_page, run_browser, serious_faults
from tests.checkout import REPOSITORY, SHARED, needs_shared
from tests.workflow.smoke_run import (
    SMOKE,
    check_table_means,
    read_numbers,
    read_trials,
    run_studies,
    select_method,
    snakemake,
)
from workflow_scripts.encoders import pase_plus
from workflow_scripts.levels.factors import DOWNSTREAM, PRETRAINING

pytestmark = pytest.mark.slow

DATASETS = ("openmic", "extended_ballroom")
STUDIES = (*(f"wu2021_fig{number}" for number in range(2, 9)), "wu2021_ranks")
#: jobs that depend on all trials
SUMMARIES = {"aggregate", "tabulate", "draw", "compose"}


def plan_jobs(folder: Path) -> set[str]:
    """List the jobs of a dry run as "rule" or, for rules with several, "rule <path of the first output>"."""
    result = snakemake(folder, "--dry-run")
    assert result.returncode == 0, result.stdout + result.stderr
    jobs = set()
    for rule, output in re.findall(r"^(?:local)?rule (\w+):\n(?:    .*\n)*?    output: ([^,\n]+)", result.stdout, re.M):
        folder_of_jobs = re.sub(r"^results/smoke/\w+/|^data/smoke/", "", str(Path(output).parent))
        name = rule.removesuffix("_again")  # the same job
        jobs.add(name if name in SUMMARIES | {"plan"} else f"{name} {name_job(name, Path(output), folder_of_jobs)}")
    return jobs - {"all"}


def name_job(rule: str, output: Path, folder: str) -> str:
    if rule == "audit":
        return output.stem
    return f"{folder}/{output.stem}" if rule in ("embed", "extract") else folder


def run_path(encoder: str, workers: str, weighting: str) -> str:
    return f"audioset_music/{encoder}/{workers}/{weighting}/none/smoke/seed0"


def untrained_path(encoder: str) -> str:
    return f"none/{encoder}/none/none/none/none/seed0"


PASE = run_path("pase", "WLPMCT", "equal")
EQUAL = {workers: run_path("pase_plus", workers, "equal") for workers in ("WLP", "WLPT", "WLPMCT")}
REWEIGHTED = {workers: run_path("pase_plus", workers, "reweighted") for workers in EQUAL}
TUNED = REWEIGHTED["WLPMCT"]  # fine-tuned in Fig. 8
PRETRAINED = (PASE, *EQUAL.values(), *REWEIGHTED.values())


def pretraining_jobs(*runs: str) -> set[str]:
    """Return the jobs that pre-train these runs and compute the weights of re-weighted ones."""
    weighed = {f"weigh {run}" for run in runs if run in REWEIGHTED.values()}
    return weighed | {f"pretrain {run}" for run in runs}


def evaluation_jobs(
    run: str, *scenarios: str, datasets: tuple[str, ...] = DATASETS, fractions: tuple[str, ...] = ("100pct",)
) -> set[str]:
    frozen = {f"evaluate_embeddings {run}/{dataset}" for dataset in datasets if "frozen" in scenarios}
    return frozen | {
        f"evaluate_encoder {run}/{dataset}/linear/{scenario}/{fraction}/wu2021"
        for scenario in scenarios
        for dataset in datasets
        for fraction in fractions
        if scenario != "frozen"
    }


def embedding_jobs(run: str, datasets: tuple[str, ...] = DATASETS) -> set[str]:
    return {f"embed {run}/{dataset}" for dataset in datasets}


def dependent_jobs(*runs: str) -> set[str]:
    """Return all jobs that depend on pre-trained runs."""
    jobs = {"plan", *SUMMARIES}
    for run in runs:
        jobs |= embedding_jobs(run) | evaluation_jobs(run, "frozen")
        if run == TUNED:
            jobs |= evaluation_jobs(run, "frozen", "fine_tuned", fractions=("100pct", "50pct"))
    return jobs


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the smoke DAG of System A in a copy of the repository."""
    return run_studies(STUDIES, folder=tmp_path_factory.mktemp("smoke") / "prelude")


@contextmanager
def edit(path: Path, change: Callable[[str], str]) -> Iterator[None]:
    """Edit a file in the meantime."""
    before = path.read_text(encoding="utf-8")
    after = change(before)
    assert after != before
    path.write_text(after, encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")


def add_code(text: str) -> str:
    return text + "\n\nADDED_BY_A_TEST = 1\n"


def test_the_smoke_run_draws_every_artefact(finished: Path) -> None:
    results = finished / "results" / "smoke"
    for path in [
        *(results / "tables" / f"{study}.{format}" for study in STUDIES for format in ("csv", "md", "tex", "html")),
        *(results / "figures" / f"{study}.{format}" for study in STUDIES for format in ("svg", "pdf", "png", "csv")),
        *(results / "tables" / f"reproduction.{format}" for format in ("csv", "md", "tex", "html")),
        results / "report" / "index.html",
    ]:
        assert path.stat().st_size > 200, path
    trials = pd.read_csv(results / "statistics" / "trials.csv")
    macro_f1 = trials[trials.metric == "macro_f1"]
    cells = macro_f1.groupby([*PRETRAINING, *DOWNSTREAM]).size()
    frozen, supervised, tuned_and_halves, floors = 7, 2, 3, 3
    assert len(cells) == (frozen + supervised + tuned_and_halves + floors) * len(DATASETS)
    assert (cells == 3).all(), "three trials a cell"
    assert macro_f1.value.between(0, 1).all()
    scores = trials[trials.metric != "classes_skipped"].value
    assert scores.dropna().between(0, 1).all()  # an AUC has no value where no class was seen with both labels
    assert set(trials.source) == {"twin"}


@pytest.mark.parametrize("study", STUDIES)
def test_the_means_of_each_table_equal_those_of_the_trials(finished: Path, study: str) -> None:
    assert check_table_means(finished, study) == {"macro_f1"}


@pytest.fixture(scope="session")
def macro_f1(finished: Path) -> pd.DataFrame:
    return read_trials(finished, metric="macro_f1")


@pytest.mark.parametrize("study", ["wu2021_fig2", "wu2021_fig3"])
def test_dots_and_weightings_equal_the_means_of_the_trials(finished: Path, macro_f1: pd.DataFrame, study: str) -> None:
    drawn = read_numbers(finished, study)
    assert len(drawn) >= 12
    for _, row in drawn.iterrows():
        assert float(row["mean"]) == pytest.approx(select_method(macro_f1, row)["value"].mean())
        if "std" in row:
            assert float(row["std"]) == pytest.approx(select_method(macro_f1, row)["value"].std())


def test_losses_follow_from_the_runs(finished: Path) -> None:
    drawn = read_numbers(finished, "wu2021_fig4")
    assert set(drawn["weighting"]) == {"equal", "reweighted"}
    assert set(drawn["worker"]) == {"waveform", "lps", "prosody", "mfcc", "chroma", "tempogram"}
    for _, row in drawn.iterrows():
        run = run_path(row["encoder"], row["workers"], row["weighting"])
        losses = pd.read_csv(finished / "results/smoke/pretrained" / run / "losses.csv")
        picked = losses.query("epoch == @row.epoch and split == 'valid' and worker == @row.worker").iloc[0]
        assert float(row["value"]) == pytest.approx(picked["loss"] * picked["weight"])


def test_relative_improvements_follow_from_the_trials(finished: Path, macro_f1: pd.DataFrame) -> None:
    drawn = read_numbers(finished, "wu2021_fig5")
    assert set(drawn["workers"]) == {"WLPT", "WLPMCT"}
    for _, row in drawn.iterrows():
        base = select_method(macro_f1, row, workers="WLP")["value"].mean()
        assert float(row["value"]) == pytest.approx(100 * (select_method(macro_f1, row)["value"].mean() / base - 1))


@pytest.mark.parametrize("study", ["wu2021_fig6", "wu2021_fig7"])
def test_confusions_follow_from_the_predictions(finished: Path, study: str) -> None:
    drawn = read_numbers(finished, study)
    for (of, over), cells in drawn.groupby(["of", "over"], sort=False):
        expected = row_percent(finished, of) - (row_percent(finished, over) if over else 0)
        shown = cells.assign(value=pd.to_numeric(cells["value"])).pivot(
            index="true", columns="predicted", values="value"
        )
        pd.testing.assert_frame_equal(shown, expected, check_names=False, check_exact=False, atol=1e-9)


def row_percent(finished: Path, workers: str) -> pd.DataFrame:
    """Compute the mean over trials of scikit-learn's confusion matrix, in percent of the true class."""
    cell = f"{REWEIGHTED[workers]}/extended_ballroom/linear/frozen/100pct/wu2021"
    with np.load(finished / "results/smoke/evaluations" / cell / "predictions.npz") as kept:
        classes, true = kept["classes"], kept["labels"].argmax(axis=1)
        counts = [confusion_matrix(true, s.argmax(axis=1), labels=range(len(classes))) for s in kept["scores"]]
    with np.errstate(invalid="ignore"):
        percent = 100 * np.mean(counts, axis=0) / np.mean(counts, axis=0).sum(axis=1, keepdims=True)
    return pd.DataFrame(percent, classes, classes)


def test_points_of_training_sizes_equal_the_means_of_the_trials(finished: Path, macro_f1: pd.DataFrame) -> None:
    drawn = read_numbers(finished, "wu2021_fig8").query("role == 'point'")
    assert len(drawn) == 2 * 2 * len(DATASETS)
    for _, row in drawn.iterrows():
        cell = select_method(macro_f1, row)
        assert float(row["mean"]) == pytest.approx(cell["value"].mean())
        assert float(row["train_clips"]) == cell["train_clips"].iloc[0]


def test_crossings_follow_from_the_trials(finished: Path) -> None:
    drawn = read_numbers(finished, "wu2021_fig8").query("role == 'crossing'")
    assert set(drawn["dataset"]) == set(DATASETS)
    for row in drawn.to_dict("records"):
        sizes, differences = training_sizes(finished, row["dataset"])
        place, low, high, shares = crossing_by_hand(sizes, differences)
        assert [float(row[name]) for name in ("size", "ci_low", "ci_high")] == pytest.approx([place, low, high])
        assert [float(row[name]) for name in ("crosses", "always", "never")] == pytest.approx(shares)
        sure = "always better" if high == 0 else "never better" if low == math.inf else "undetermined"
        assert row["outcome"] == ("crossing" if low > 0 and high < math.inf else sure)


def training_sizes(finished: Path, dataset: str) -> tuple[list[float], np.ndarray]:
    """Read the training clips, ascending, and fine-tuned minus frozen (sizes, trials) in percent."""
    differences = {}
    for fraction in ("100pct", "50pct"):
        cells = [
            read_cell_trials(
                f"{finished}/results/smoke/evaluations/{TUNED}/{dataset}/linear/{scenario}/{fraction}/wu2021/trials.csv"
            )
            for scenario in ("fine_tuned", "frozen")
        ]
        differences[float(cells[0]["train_clips"].iloc[0])] = 100 * (cells[0]["value"] - cells[1]["value"]).to_numpy()
    return sorted(differences), np.array([differences[size] for size in sorted(differences)])


def read_cell_trials(path: str | Path) -> pd.DataFrame:
    trials = pd.read_csv(path).query("metric == 'macro_f1'").sort_values("trial").reset_index(drop=True)
    assert len(trials) == 3
    return trials


def crossing_by_hand(
    sizes: list[float], differences: np.ndarray, *, level: float = 0.95
) -> tuple[float, float, float, tuple[float, float, float]]:
    """Compute the size of the crossing, its interval, and the shares that cross, are always and never better."""
    count = differences.shape[1]
    wider = stats.t.ppf((1 + level) / 2, count - 1) / stats.norm.ppf((1 + level) / 2) * math.sqrt(count / (count - 1))
    middle = differences.mean(axis=1)
    drawn = np.random.default_rng(0).integers(count, size=(2000, count))
    resampled = sorted(
        find_crossing(sizes, middle + wider * (differences[:, row].mean(axis=1) - middle)) for row in drawn
    )
    ends = resampled[math.floor(1999 * (1 - level) / 2)], resampled[math.ceil(1999 * (1 + level) / 2)]
    always, never = (sum(place == outside for place in resampled) / 2000 for outside in (0, math.inf))
    return find_crossing(sizes, middle), *ends, (1 - always - never, always, never)


def find_crossing(sizes: list[float], means: np.ndarray) -> float:
    """Find the size from which all means are positive; 0 if they always are, infinity if the last one is not."""
    if means[-1] <= 0:
        return math.inf
    for place in range(len(sizes) - 1, 0, -1):
        if means[place - 1] <= 0:
            share = -means[place - 1] / (means[place] - means[place - 1])
            return float(sizes[place - 1] * (sizes[place] / sizes[place - 1]) ** share)
    return 0


#: value to compare with a statement of a paper, and both ends of its 95 % interval
Interval = tuple[float, float, float]


class ByHand:
    """Recomputation of lines of reproduction.csv from files of the jobs before the statistics."""

    def __init__(self, finished: Path) -> None:
        """Read the cells of each study from the manifest."""
        self.finished, self.results = finished, finished / "results/smoke"
        self.manifest = json.loads((self.results / "statistics/plan.json").read_text(encoding="utf-8"))

    def value(self, line: dict[str, str]) -> Interval:
        """Compute a line's value and both ends of its interval."""
        recompute: Callable[[dict[str, str]], Interval | float] = getattr(self, line["quantity"])
        value = recompute(line)
        return value if isinstance(value, tuple) else (value, value, value)

    def sides(self, line: dict[str, str]) -> tuple[np.ndarray, np.ndarray]:
        """Compute macro F1 in percent (trials,) of either side, averaged over the levels in step."""
        within = levels(line["within"])[0]
        of, over = ([self.cell(line["study"], step | within) for step in levels(line[side])] for side in ("of", "over"))
        assert len(of) == len(over)
        return np.mean(of, axis=0), np.mean(over, axis=0)

    def cell(self, study: str, chosen: dict[str, str]) -> np.ndarray:
        (only,) = self.cells(study, chosen)
        return 100 * read_cell_trials(self.finished / only["path"])["value"].to_numpy()

    def cells(self, study: str, chosen: dict[str, str]) -> list[dict]:
        planned = [self.manifest["cells"][place] for place in self.manifest["studies"][study]["cells"]]
        return [cell for cell in planned if all(str(cell["factors"][name]) == chosen[name] for name in chosen)]

    def difference(self, line: dict[str, str]) -> Interval:
        """Compute the mean and its paired t interval; of a single step the uncertainty of the test set is added."""
        of, over = self.sides(line)
        ends = stats.ttest_1samp(of - over, 0).confidence_interval(0.95)
        middle = float((of - over).mean())
        ends = (middle if np.isnan(end) else end for end in ends)  # scipy: no interval of equal ones
        low, high = (float(np.clip(end, -100, 100)) for end in ends)
        if len(levels(line["of"])) > 1:
            return middle, low, high
        shown = float(line["ci_low"]), float(line["ci_high"])
        assert shown[0] <= low + 1e-9
        assert shown[1] >= high - 1e-9
        assert sum(shown) / 2 == pytest.approx(middle)
        tables = pd.read_csv(self.results / "statistics/comparisons.csv").query("study == @line['study']")
        same = tables[np.isclose(100 * tables["mean"], middle)]
        if len(same):  # the study declares this contrast, so its table shows the same interval
            assert np.isclose(100 * same[["ci_low", "ci_high"]], shown).all(axis=1).any()
        return middle, *shown

    def relative(self, line: dict[str, str]) -> Interval:
        """Compute the mean and, as ends, the ratios at which a paired t test just fails to find a difference."""
        of, over = self.sides(line)
        value = 100 * (of.mean() / over.mean() - 1)
        if stats.ttest_1samp(over, 0).pvalue > 0.05:
            return value, math.nan, math.nan  # the mean it is relative to may be zero
        for end in {float(line["ci_low"]), float(line["ci_high"])} - {-100.0}:  # no metric is below zero
            left = of - (1 + end / 100) * over
            assert abs(left.mean()) == pytest.approx(stats.t.ppf(0.975, 2) * left.std(ddof=1) / math.sqrt(3), abs=1e-9)
        return value, float(line["ci_low"]), float(line["ci_high"])

    def crossing(self, line: dict[str, str]) -> Interval:
        sizes, differences = training_sizes(self.finished, levels(line["of"])[0]["dataset"])
        assert [1000 * float(line[end]) for end in ("smallest_size", "largest_size")] == pytest.approx(
            [sizes[0], sizes[-1]]
        )
        place, low, high, _ = crossing_by_hand(sizes, differences)
        return place / 1000, low / 1000, high / 1000

    def loss_ratio(self, line: dict[str, str]) -> Interval:
        losses = pd.read_csv(self.results / "pretrained" / EQUAL["WLPMCT"] / "losses.csv").query("split == 'valid'")
        lps, tempogram = (losses[losses.worker == worker].set_index("epoch").loss for worker in ("lps", "tempogram"))
        return float(np.log10(lps / tempogram).mean()), math.nan, math.nan  # one pre-training seed

    def steps(self, line: dict[str, str]) -> list[tuple[dict[str, str], np.ndarray]]:
        """Compute the difference of macro F1 in each step that was run, with its levels: a line's text joins them."""
        statement = next(
            statement
            for statement in self.manifest["studies"][line["study"]]["statements"]
            if (statement["id"], statement["quantity"]) == (line["id"], line["quantity"])
        )
        of, over = (split_steps(statement[side]) for side in ("of", "over"))
        steps = [pair for pair in zip(of, over, strict=True) if all(self.cells(line["study"], side) for side in pair)]
        return [(of, self.cell(line["study"], of) - self.cell(line["study"], over)) for of, over in steps]

    def interaction(self, line: dict[str, str]) -> Interval:
        group = json.loads(line["options"])["group"]
        inside = [values for levels, values in self.steps(line) if group.items() <= levels.items()]
        outside = [values for levels, values in self.steps(line) if not group.items() <= levels.items()]
        return t_interval(np.mean(inside, axis=0) - np.mean(outside, axis=0))

    def label_trend(self, line: dict[str, str]) -> Interval:
        steps = self.steps(line)
        sizes = [
            read_cell_trials(self.finished / self.cells(line["study"], levels)[0]["path"])["train_clips"].mean()
            for levels, _ in steps
        ]
        values = np.array([values for _, values in steps])
        if json.loads(line["options"])["statistic"] == "deviation":
            values = np.abs(values - values.mean(axis=1, keepdims=True))
        return t_interval(np.polyfit(np.log10(sizes), values, 1)[0])

    def weighted_losses(self, run: str) -> pd.DataFrame:
        losses = pd.read_csv(self.results / "pretrained" / run / "losses.csv").query("split == 'valid'")
        return losses.assign(loss=losses["loss"] * losses["weight"]).pivot_table(
            index="epoch", columns="worker", values="loss"
        )

    def loss_lead(self, line: dict[str, str]) -> Interval:
        losses, options = self.weighted_losses(EQUAL["WLPMCT"]), json.loads(line["options"])
        others = getattr(losses.drop(columns=options["worker"]), {"largest": "max", "smallest": "min"}[options["end"]])
        return float(np.log10(losses[options["worker"]] / others(axis=1)).mean()), math.nan, math.nan

    def loss_majority(self, line: dict[str, str]) -> Interval:
        losses, worker = self.weighted_losses(EQUAL["WLPMCT"]), json.loads(line["options"])["worker"]
        return 100 * float((losses[worker] / losses.sum(axis=1)).mean()) - 50, math.nan, math.nan

    def loss_spread(self, line: dict[str, str]) -> Interval:
        runs = (EQUAL["WLPMCT"], REWEIGHTED["WLPMCT"])
        of, over = (np.log10(self.weighted_losses(run).to_numpy()).std(axis=1).mean() for run in runs)
        return float(of - over), math.nan, math.nan

    def confusion_changes(self, line: dict[str, str]) -> tuple[list[str], np.ndarray]:
        """Compute the change of the matrix in percent of the true class (trials, true, predicted), with the classes."""
        matrices = []
        for side in ("of", "over"):
            (chosen,) = levels(line[side])
            (cell,) = self.cells(line["study"], chosen | levels(line["within"])[0])
            with np.load((self.finished / cell["path"]).with_name("predictions.npz")) as kept:
                classes, true = kept["classes"], kept["labels"].argmax(axis=1)
                counts = [confusion_matrix(true, s.argmax(axis=1), labels=range(len(classes))) for s in kept["scores"]]
            with np.errstate(invalid="ignore"):
                matrices.append(100 * np.array(counts) / np.sum(counts, axis=2, keepdims=True))
        return classes.tolist(), matrices[0] - matrices[1]

    def confusion_change(self, line: dict[str, str]) -> Interval:
        classes, changes = self.confusion_changes(line)
        entries = json.loads(line["options"])["entries"]
        picked = [changes[:, classes.index(true), classes.index(given)] for true, given in entries]
        return t_interval(np.mean(picked, axis=0))

    def confusion_direction(self, line: dict[str, str]) -> Interval:
        _, changes = self.confusion_changes(line)
        diagonal = np.eye(changes.shape[1], dtype=bool)
        part = diagonal if json.loads(line["options"])["part"] == "diagonal" else ~diagonal
        return t_interval(np.array([100 * np.nanmean(np.sign(change[part])) for change in changes]))

    def corpus(self, line: dict[str, str], name: str) -> pd.DataFrame:
        (chosen,) = levels(line["of"])
        folder = self.results / "corpora" / next(iter(chosen.values())) / "16000"
        return pd.read_csv(folder / name) if name.endswith("csv") else pd.read_parquet(folder / name)

    def clips(self, line: dict[str, str]) -> float:
        broken = set(self.corpus(line, "quarantine.csv")["clip"]) - set(self.corpus(line, "clips.parquet")["clip"])
        return (len(self.corpus(line, "clips.parquet")) + len(broken)) / 1000

    def hours(self, line: dict[str, str]) -> float:
        return float(self.corpus(line, "clips.parquet")["length"].sum()) / 16000 / 3600

    def classes(self, line: dict[str, str]) -> float:
        return len(self.corpus(line, "labels.parquet").columns.drop("clip", errors="ignore"))

    def n_excluded_classes(self, line: dict[str, str]) -> float:
        assert line["of"] == "dataset=extended_ballroom"
        return 13 - self.classes(line)

    def train_clips(self, line: dict[str, str]) -> float:
        (chosen,) = levels(line["of"])
        cells = self.cells(line["study"], chosen)
        (size,) = {size for cell in cells for size in read_cell_trials(self.finished / cell["path"])["train_clips"]}
        return size / 1000

    def trials(self, line: dict[str, str]) -> float:
        return 3

    def parameters(self, line: dict[str, str]) -> float:
        run = {"encoder=pase": PASE, "encoder=pase_plus": EQUAL["WLPMCT"]}[line["of"]]
        with safe_open(self.results / "pretrained" / run / "encoder.safetensors", framework="numpy") as kept:
            trained = [name for name in kept.keys() if not name.endswith(BUFFERS)]  # noqa: SIM118
            return sum(int(np.prod(kept.get_slice(name).get_shape())) for name in trained) / 1e6

    def embedding_size(self, line: dict[str, str]) -> float:
        return float(np.load(self.results / "embeddings" / PASE / "openmic.npy", mmap_mode="r").shape[-1])

    def epochs(self, line: dict[str, str]) -> float:
        return float(pd.read_csv(self.results / "pretrained" / EQUAL["WLPMCT"] / "losses.csv").epoch.max())

    def weighing_epochs(self, line: dict[str, str]) -> float:
        kept = (self.results / "pretrained" / run / "weigh.json" for run in REWEIGHTED.values())
        (epochs,) = {json.loads(path.read_text(encoding="utf-8"))["epochs"] for path in kept}
        return float(epochs)

    def training(self, key: str) -> float:
        cell = self.results / "evaluations" / PASE / "openmic/linear/frozen/100pct/wu2021/record.json"
        return float(json.loads(cell.read_text(encoding="utf-8"))["config"]["training"][key])

    def learning_rate(self, line: dict[str, str]) -> float:
        return self.training("learning_rate")

    def patience(self, line: dict[str, str]) -> float:
        return self.training("patience")

    def hop(self, line: dict[str, str]) -> float:
        return 160

    def fft_length(self, line: dict[str, str]) -> float:
        return 2048

    def prosody_features(self, line: dict[str, str]) -> float:
        return 4

    def sample_rate(self, line: dict[str, str]) -> float:
        return 16000


BUFFERS = ("running_mean", "running_var", "num_batches_tracked")  # of batch normalisation: kept, not trained


def levels(text: str) -> list[dict[str, str]]:
    """Read "factor=level,level factor=level" as one dictionary for each level in step."""
    parts = [(factor, several.split(",")) for factor, several in (part.split("=") for part in text.split())]
    steps = max((len(several) for _, several in parts), default=1)
    return [{factor: several[step % len(several)] for factor, several in parts} for step in range(steps)]


def split_steps(side: dict[str, str | list[str]]) -> list[dict[str, str]]:
    """Return the levels of each step of one side of a statement."""
    steps = max((len(level) for level in side.values() if isinstance(level, list)), default=1)
    return [
        {factor: level[step] if isinstance(level, list) else level for factor, level in side.items()}
        for step in range(steps)
    ]


def t_interval(values: np.ndarray) -> Interval:
    """Compute the mean of the trials and its t interval, of no width if all are equal."""
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    middle = float(values.mean())
    return middle, *(middle if np.isnan(end) else float(end) for end in (low, high))


def test_published_statements_recompute_from_what_was_run(finished: Path) -> None:
    by_hand = ByHand(finished)
    table = pd.read_csv(by_hand.results / "statistics/reproduction.csv", dtype=str, keep_default_na=False)
    spoken = table[table["value"] != ""]
    assert len(spoken) >= 30
    for _, row in spoken.iterrows():
        line = {name: str(row[name]) for name in table.columns}
        shown = [float(line[name] or "nan") for name in ("value", "ci_low", "ci_high")]
        expected = by_hand.value(line)
        assert shown == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True), line
        assert line["verdict"] == verdict_by_hand(line, *expected), line


def verdict_by_hand(line: dict[str, str], value: float, low: float, high: float) -> str:
    if line["expected"] and not line["mean"]:
        sign = -1 if line["expected"] == "below zero" else 1
        low, high = sorted((sign * low, sign * high))
        if line["expected"] == "not above zero":
            margin = float(line["margin"] or 0)
            return "holds" if high <= margin else "does not hold" if low > margin else "undecided"
        return "holds" if low > 0 else "does not hold" if high < 0 else "undecided"
    if line["kind"] == "chosen":
        return "agrees" if value == float(line["mean"]) else "differs"
    if line["quantity"] == "parameters":  # of networks, which are no twins
        return "differs" if abs(value - float(line["mean"])) > 0.5 else "agrees"
    return "not comparable"


def test_quarantined_clips_are_counted_in_every_table(finished: Path) -> None:
    quarantine = pd.read_csv(finished / "results/smoke/corpora/openmic/16000/quarantine.csv")
    assert len(quarantine) > 0, "the smoke twins have defects"
    trials = pd.read_csv(finished / "results/smoke/statistics/trials.csv")
    assert set(trials[trials.dataset == "openmic"].quarantined) == {len(quarantine)}
    assert "quarantined" in (finished / "results/smoke/tables/wu2021_fig2.md").read_text(encoding="utf-8").lower()


def test_a_second_run_does_nothing(finished: Path) -> None:
    assert plan_jobs(finished) == set()


@pytest.mark.parametrize("file", ["workflow_scripts/encoders/pase.py", "workflow_scripts/pretraining/trainer.py"])
def test_a_comment_re_runs_nothing(finished: Path, file: str) -> None:
    with edit(finished / file, lambda text: text + "\n# a remark\n"):
        assert plan_jobs(finished) == set()


def test_a_changed_encoder_re_runs_its_runs(finished: Path) -> None:
    with edit(finished / "workflow_scripts/encoders/pase.py", add_code):
        assert plan_jobs(finished) == {
            *pretraining_jobs(PASE),
            *dependent_jobs(PASE),
            *embedding_jobs(untrained_path("random")),
            *evaluation_jobs(untrained_path("random"), "frozen"),
            *evaluation_jobs(untrained_path("pase"), "supervised"),
        }


def test_a_changed_worker_re_runs_exactly_the_runs_whose_set_contains_it(finished: Path) -> None:
    with edit(finished / "workflow_scripts/workers/tempogram.py", add_code):
        runs = [PASE, *(runs[workers] for runs in (EQUAL, REWEIGHTED) for workers in ("WLPT", "WLPMCT"))]
        assert plan_jobs(finished) == pretraining_jobs(*runs) | dependent_jobs(*runs)


def test_a_changed_worker_with_stored_features_re_runs_their_extraction(finished: Path) -> None:
    with edit(finished / "workflow_scripts/workers/prosody.py", add_code):
        extracted = {"extract audioset_music/16000/prosody"}
        assert plan_jobs(finished) == extracted | pretraining_jobs(*PRETRAINED) | dependent_jobs(*PRETRAINED)


def test_a_changed_weighting_re_runs_only_jobs_that_depend_on_it(finished: Path) -> None:
    with edit(finished / "workflow_scripts/weightings/reweighted.py", add_code):
        assert plan_jobs(finished) == pretraining_jobs(*REWEIGHTED.values()) | dependent_jobs(*REWEIGHTED.values())


def test_a_changed_recipe_re_runs_the_runs_trained_by_it(finished: Path) -> None:
    with edit(finished / SMOKE, lambda text: text.replace("steps_per_epoch: 2", "steps_per_epoch: 3")):
        assert plan_jobs(finished) == pretraining_jobs(*PRETRAINED) | dependent_jobs(*PRETRAINED)


def test_a_new_data_set_runs_its_own_cells(finished: Path) -> None:
    added = ("fma_small",)

    def add_data_set(text: str) -> str:
        before = "wu2021_fig2: {recipe: [smoke], dataset: [openmic, extended_ballroom]"
        return text.replace(before, before.replace("extended_ballroom", "extended_ballroom, fma_small"))

    floors = [untrained_path(name) for name in ("random", "random_plus", "handcrafted")]
    frozen = [PASE, EQUAL["WLPMCT"], *floors]
    with edit(finished / SMOKE, add_data_set):
        assert plan_jobs(finished) == {
            "acquire fma_small",
            "prepare fma_small/16000",
            "audit fma_small",
            "plan",
            *SUMMARIES,
            *(
                job
                for run in frozen
                for job in embedding_jobs(run, added) | evaluation_jobs(run, "frozen", datasets=added)
            ),
            *(
                job
                for name in ("pase", "pase_plus")
                for job in evaluation_jobs(untrained_path(name), "supervised", datasets=added)
            ),
        }


def times_of_cells(finished: Path) -> dict[str, int]:
    """Return when the trials of each cell were written."""
    folder = finished / "results/smoke/evaluations"
    return {str(path.parent.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("trials.csv")}


def test_a_missing_cell_alone_is_computed_again(finished: Path) -> None:
    cell = f"{TUNED}/openmic/linear/frozen/50pct/wu2021"
    path, before = finished / "results/smoke/evaluations" / cell / "trials.csv", times_of_cells(finished)
    trials = pd.read_csv(path)
    path.unlink()
    assert plan_jobs(finished) == {f"evaluate_embeddings {TUNED}/openmic", *SUMMARIES}
    result = snakemake(finished, "--show-failed-logs")
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-5000:]
    after = times_of_cells(finished)
    assert {name for name in after if after[name] != before[name]} == {cell}
    pd.testing.assert_frame_equal(pd.read_csv(path).drop(columns="seconds"), trials.drop(columns="seconds"))
    assert plan_jobs(finished) == set()


def test_a_new_fraction_alone_is_computed_and_one_that_is_left_out_runs_nothing(finished: Path) -> None:
    cell, before = f"{TUNED}/openmic/linear/frozen/25pct/wu2021", times_of_cells(finished)
    folder = Path("results/smoke/evaluations", TUNED, "openmic")
    (present,) = [path.name for path in (finished / folder).glob("cells0*.json")]
    (missing,) = {"cells0.json", "cells0.again.json"} - {present}
    with edit(finished / SMOKE, lambda text: text.replace("[100pct, 50pct]}", "[100pct, 50pct, 25pct]}")):
        added = evaluation_jobs(TUNED, "frozen", "fine_tuned", fractions=("25pct",))
        assert plan_jobs(finished) == {*added, "plan", *SUMMARIES}
        result = snakemake(finished, "--show-failed-logs", str(folder / missing))
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-5000:]
        after = times_of_cells(finished)
        assert {name for name in after if after[name] != before.get(name)} == {cell}
    assert plan_jobs(finished) == SUMMARIES, "the list is new, and all planned cells are as before"
    restored = snakemake(finished)
    assert restored.returncode == 0, restored.stderr[-5000:]
    assert plan_jobs(finished) == set()


def test_the_command_that_repeats_a_cell_computes_it_alone(finished: Path) -> None:
    cell, before = f"{TUNED}/openmic/linear/frozen/50pct/wu2021", times_of_cells(finished)
    result = snakemake(finished, "--force", f"results/smoke/evaluations/{cell}/trials.csv")
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-5000:]
    after = times_of_cells(finished)
    assert {name for name in after if after[name] != before[name]} == {cell}
    assert plan_jobs(finished) == SUMMARIES
    restored = snakemake(finished)
    assert restored.returncode == 0, restored.stderr[-5000:]
    assert plan_jobs(finished) == set()


def test_reweighted_runs_do_not_need_the_equally_weighted_ones(finished: Path) -> None:
    config = finished / "alone.yaml"
    config.write_text("studies: [wu2021_fig6]\nresults: results/alone\n", encoding="utf-8")
    result = snakemake(finished, "--dry-run", configfiles=(SMOKE, str(config)))
    config.unlink()
    assert result.returncode == 0, result.stdout + result.stderr
    jobs = re.findall(r"^rule (weigh|pretrain):\n(?:    .*\n)*?    output: ([^,\n]+)", result.stdout, re.M)
    assert sorted(rule for rule, _ in jobs) == ["pretrain"] * 3 + ["weigh"] * 3
    assert all("/reweighted/" in output for _, output in jobs)


def test_changed_report_code_re_runs_no_training(finished: Path) -> None:
    with edit(finished / "workflow_scripts/compose.py", add_code):
        assert plan_jobs(finished) == {"compose"}
    with edit(finished / "workflow_scripts/draw.py", add_code):
        assert plan_jobs(finished) == {"draw", "compose"}
    with edit(finished / "workflow_scripts/figures/losses.py", add_code):
        assert plan_jobs(finished) == {"draw", "compose"}


def test_stale_results_are_detected_without_snakemakes_records(finished: Path) -> None:
    records, aside = finished / ".snakemake", finished / ".snakemake-aside"
    records.rename(aside)
    try:
        with edit(finished / "workflow_scripts/encoders/pase.py", add_code):
            result = snakemake(finished, "--show-failed-logs")
            assert result.returncode != 0
            assert "not all inputs are those of this plan" in result.stdout + result.stderr
    finally:
        shutil.rmtree(records)
        aside.rename(records)
        restored = snakemake(finished)
        assert restored.returncode == 0, restored.stderr[-5000:]


def test_every_page_of_the_report_fits_and_is_accessible(finished: Path) -> None:
    report = finished / "results/smoke/report"
    pages = [path for path in sorted(report.rglob("*.html")) if path.parent.name != "cells"]
    assert len(pages) > len(STUDIES) + 4
    assert sum(path.stat().st_size for path in report.rglob("*") if path.is_file()) < 20e6
    with run_browser() as browser:
        for path in [*pages, *sorted((report / "cells").glob("*.html"))[:3]]:
            assert path.stat().st_size < 3e6, path
            for width in (1300, 390):
                page = open_page(browser, path, width=width)
                assert hidden_width(page) <= 0, (path.name, width)
                assert page.problems == [], path.name
                assert serious_faults(page) == [], (path.name, width)
                page.close()


def test_a_run_that_fails_still_shows_what_it_finished(finished: Path) -> None:
    results = finished / "results" / "smoke"
    whole = {path: path.read_bytes() for path in (results / "tables").rglob("*.*")}
    signature = "def build(options: Options) -> Handcrafted:"
    fault = f'{signature}\n    raise RuntimeError("no such feature")'
    with edit(finished / "workflow_scripts/encoders/handcrafted.py", lambda text: text.replace(signature, fault)):
        failed = snakemake(finished, "--keep-going")
        assert failed.returncode != 0
        assert "Report of the finished jobs: results/smoke/unfinished/report/index.html" in failed.stderr
        listed = failed.stderr.partition("\nFailed jobs:\n")[2]
        assert ": failed: RuntimeError: no such feature [1 of 1 attempts failed]\n    results/smoke/logs/" in listed
    table = pd.read_csv(results / "unfinished/tables/wu2021_fig2.csv", keep_default_na=False)
    lost = table[table["encoder"] == "handcrafted"]
    assert len(lost) == len(DATASETS)
    assert set(lost["reason"]) == {"failed: embed: RuntimeError: no such feature"}
    assert set(table.loc[table["encoder"] != "handcrafted", "status"]) == {"measured"}
    page = (results / "unfinished/report/index.html").read_text(encoding="utf-8")
    assert "Unfinished: the workflow failed." in page
    assert all(path.read_bytes() == content for path, content in whole.items()), "the whole tables are left alone"
    for path in whole:
        path.unlink()
    repaired = snakemake(finished)
    assert repaired.returncode == 0, repaired.stderr[-5000:]
    assert not (results / "unfinished").exists()
    assert all(path.read_bytes() == content for path, content in whole.items()), "and made again, byte for byte"
    assert plan_jobs(finished) == set()


TOY_ENCODER = '''
"""The smallest encoder: one convolution."""

from workflow_scripts.levels.options import LevelOptions

LABEL = "Toy"
TRAINABLE = True


class Options(LevelOptions):
    channels: int = 8


def sample_rate(options: Options) -> int:
    return 16000


def hop(options: Options) -> int:
    return 160


def build(options: Options):
    from torch import Tensor, nn

    from workflow_scripts.networks.interfaces import Encoder

    class Toy(Encoder):
        def __init__(self) -> None:
            super().__init__()
            self.sample_rate, self.hop, self.embedding_size = sample_rate(options), hop(options), options.channels
            self.layer = nn.Conv1d(1, options.channels, 160, stride=160)

        def forward(self, audio: Tensor) -> Tensor:
            return self.layer(audio[:, None])

    return Toy()
'''

TOY_DATASET = '''
"""Two kinds of tone."""

from pathlib import Path

import pandas as pd

from workflow_scripts.levels.dataset_index import DatasetIndex
from workflow_scripts.levels.options import LevelOptions

LABEL = "tones"
SIZE = None
BIBTEX = ""
LICENSE = "none"
REMOTES: dict = {}
TASK = "multiclass"


class Options(LevelOptions):
    pass


def index(root: Path, options: Options) -> DatasetIndex:
    paths = sorted(root.glob("*.wav"))
    names = [path.stem for path in paths]
    clips = pd.DataFrame({"clip": names, "path": [path.name for path in paths]})
    clips["start_seconds"] = clips["end_seconds"] = float("nan")
    clips["split"] = [("train", "train", "valid", "test")[int(name[4:]) % 4] for name in names]
    clips["group"] = names
    labels = pd.DataFrame({kind: [float(name.startswith(kind)) for name in names] for kind in ("high", "deep")}, names)
    return DatasetIndex(task=TASK, clips=clips, labels=labels.astype("float32"))
'''

TOY_CONFIG = """
studies: [wu2021_fig2]
trim:
  wu2021_fig2: {{dataset: [toy], encoder: [toy], scenario: [frozen, fine_tuned], floors: [random], comparisons: []}}
datasets:
  toy: {{loader: toy, source: local, path: "{tones}"}}
encoders:
  toy: {{channels: 4}}
"""


def test_a_new_encoder_and_a_new_data_set_are_one_file_each(finished: Path, tmp_path: Path) -> None:
    package = finished / "workflow_scripts"
    levels = {package / "encoders" / "toy.py": TOY_ENCODER, package / "datasets" / "toy.py": TOY_DATASET}
    write_tones(tmp_path / "tones")
    config = tmp_path / "toy.yaml"
    config.write_text(TOY_CONFIG.format(tones=tmp_path / "tones"), encoding="utf-8")
    for path, text in levels.items():
        path.write_text(text, encoding="utf-8")
    try:
        result = snakemake(finished, "--show-failed-logs", configfiles=(SMOKE, str(config)))
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-8000:]
        trials = pd.read_csv(finished / "results/smoke/statistics/trials.csv")
        assert {tuple(row) for row in trials[["dataset", "encoder", "scenario"]].to_numpy()} == {
            ("toy", "toy", "frozen"),
            ("toy", "toy", "fine_tuned"),
            ("toy", "random", "frozen"),
        }
    finally:
        for path in levels:
            path.unlink()
        restored = snakemake(finished)
    assert restored.returncode == 0, restored.stderr[-5000:]


CHECKPOINT_CONFIG = """
checkpoints:
  official: {{encoder: pase_plus, path: "{file}", options: {{embedding: 16, width: 0.125}}}}
trim:
  wu2021_fig2: {{checkpoints: [official]}}
"""


def test_an_official_checkpoint_can_be_evaluated(finished: Path, tmp_path: Path) -> None:
    encoder = pase_plus.build(pase_plus.Options(embedding=16, width=0.125))
    torch.save({"state_dict": encoder.state_dict(), "step": 7}, tmp_path / "FE_e7.ckpt")
    config = tmp_path / "official.yaml"
    config.write_text(CHECKPOINT_CONFIG.format(file=tmp_path / "FE_e7.ckpt"), encoding="utf-8")
    run = "official/pase_plus/none/none/none/none/seed0"
    cell = f"results/smoke/evaluations/{run}/openmic/linear/frozen/100pct/wu2021/trials.csv"
    result = snakemake(finished, "--show-failed-logs", cell, configfiles=(SMOKE, str(config)))
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-8000:]
    trials = pd.read_csv(finished / cell)
    assert set(trials.corpus) == {"official"}
    assert trials[trials.metric == "macro_f1"].value.between(0, 1).all()


def write_tones(folder: Path) -> None:
    folder.mkdir()
    for kind, hertz in {"high": 3000, "deep": 200}.items():
        for number in range(8):
            sound = 0.3 * np.sin(2 * np.pi * (hertz + 10 * number) * np.arange(16000) / 16000)
            soundfile.write(folder / f"{kind}{number}.wav", sound, 16000)


#: folders of real recordings that are enough for every class of a data set to have clips of each split
RECORDINGS = {
    "recordings/unlabelled": ["unlabelled"],
    "recordings/instruments": [f"labelled/instruments_iowa/{name}" for name in ("cello", "clarinet", "trumpet")],
    "recordings/environment": [f"labelled/environment_esc10/{name}" for name in ("baby_cry", "rain", "rooster")],
    "recordings/styles": ["labelled/style_loops"],
}


def copy_recordings(folder: Path) -> None:
    """Copy the recordings, with a csv of their labels beside them."""
    rows = pd.read_csv(SHARED / "audio" / "manifest.csv", dtype=str, keep_default_na=False)
    for name, sources in RECORDINGS.items():
        for source in sources:
            target = Path(name, *Path(source).parts[2:])
            shutil.copytree(SHARED / "audio" / source, folder / target)
            inside = rows["path"].str.startswith(f"{source}/")
            rows.loc[inside, "path"] = (
                str(target.relative_to("recordings")) + rows.loc[inside, "path"].str[len(source) :]
            )
    present = [(folder / "recordings" / path).is_file() for path in rows["path"]]
    rows[present].to_csv(folder / "recordings" / "labels.csv", index=False)


@needs_shared
@pytest.mark.parametrize(
    ("name", "datasets"),
    [
        ("own_recordings", ["instruments", "environment", "styles"]),
        ("own_recordings_clmr", ["styles"]),  # the others take two minutes more and show nothing else
    ],
)
def test_real_recordings_run_from_a_short_config(
    name: str, datasets: list[str], finished: Path, tmp_path: Path
) -> None:
    copy_recordings(tmp_path)
    text = (REPOSITORY / f"config/{name}.yaml").read_text(encoding="utf-8")
    for path in (*RECORDINGS, "recordings/labels.csv"):
        assert path in text
        text = text.replace(path, str(tmp_path / path))
    given, quick = tmp_path / "own.yaml", tmp_path / "quick.yaml"
    given.write_text(text, encoding="utf-8")
    quick.write_text(
        "recipes: {short: {epochs: 1, steps_per_epoch: 2, calibration_batches: 2, validation_batches: 1}}\n"
        "protocols: {wu2021: &quick {trials: 3, max_epochs: 5}, spijkervet2021: *quick}\n"
        f"trim: {{{name}: {{dataset: {datasets}}}}}\n",
        encoding="utf-8",
    )
    configs = (str(given), str(quick))
    fetched = snakemake(finished, "--show-failed-logs", "acquire_all", configfiles=configs, network=True)
    assert fetched.returncode == 0, fetched.stdout[-3000:] + fetched.stderr[-8000:]
    result = snakemake(finished, "--show-failed-logs", configfiles=configs)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-8000:]
    cells = pd.read_csv(finished / f"results/{name}/statistics/cells.csv")
    assert set(cells.dataset) == set(datasets)
    assert set(cells.source) == {"local"}
    assert len(set(cells.encoder)) == (4 if name == "own_recordings" else 3)  # musicnn too
