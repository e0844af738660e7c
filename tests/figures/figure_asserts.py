"""Synthetic results of a study, the numbers of its figure, and assertions on the drawn figure."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axis import Axis, Tick
from matplotlib.figure import Figure
from matplotlib.text import Text
from sklearn.metrics import roc_auc_score

from tests.report.aggregated_study import statistics
from tests.synthetic_results import Results, factors
from workflow_scripts.levels import registry as levels
from workflow_scripts.levels.factors import PRETRAINING
from workflow_scripts.levels.fractions import parse_fraction
from workflow_scripts.planning.manifest import Manifest, Study, read_manifest
from workflow_scripts.report import labels, plotting
from workflow_scripts.report.figure_inputs import Evidence, Statistics
from workflow_scripts.statistics.filter_spectra import LayerSpectra
from workflow_scripts.statistics.filter_spectra import write_spectra as write_filter_spectra
from workflow_scripts.statistics.metrics import confusion, metrics

WORKER_SETS = ("WLP", "WLPM", "WLPC", "WLPT", "WLPMC", "WLPMT", "WLPCT", "WLPMCT")
DATASETS = ("openmic", "fma_small", "extended_ballroom")
DANCES = ("Chacha", "Foxtrot", "Jive", "Quickstep", "Rumba", "Samba", "Tango", "Viennesewaltz", "Waltz")
#: worker and its loss at the start, a hundredfold apart as in the paper's Fig. 4
LOSSES = {"chroma": 0.1, "lps": 300.0, "mfcc": 80.0, "prosody": 6.0, "tempogram": 0.05, "waveform": 0.2}
CHANCE = 0.3
#: the 50 most frequent tags of MagnaTagATune
TAGS = (
    "guitar",
    "classical",
    "slow",
    "techno",
    "strings",
    "drums",
    "electronic",
    "rock",
    "fast",
    "piano",
    "ambient",
    "beat",
    "violin",
    "vocal",
    "synth",
    "female",
    "indian",
    "opera",
    "male",
    "singing",
    "vocals",
    "no vocals",
    "harpsichord",
    "loud",
    "quiet",
    "flute",
    "woman",
    "male vocal",
    "no vocal",
    "pop",
    "soft",
    "sitar",
    "solo",
    "man",
    "classic",
    "choir",
    "voice",
    "new age",
    "dance",
    "male voice",
    "female vocal",
    "beats",
    "harp",
    "cello",
    "no voice",
    "weird",
    "country",
    "metal",
    "female voice",
    "choral",
)
RATE, CROP = 22050, 59049  # samples per second, and samples of a crop of SampleCNN

Cell = Mapping[str, Any]


def make_study(
    folder: Path,
    *,
    figure: Mapping[str, Any],
    rows: Sequence[str],
    grid: Mapping[str, Sequence[str]],
    value: Callable[[Cell], float] = lambda cell: 0.5,
    floors: Sequence[str] = (),
    trials: int = 10,
    columns: Sequence[str] = ("dataset",),
) -> Results:
    """Return results of every combination of `grid`: `value` of the cell plus noise, shared in part per data set."""
    results = Results(folder)
    results.manifest["studies"]["fig2"] |= {
        "figure": dict(figure),
        "rows": list(rows),
        "columns": list(columns),
        "comparisons": [],
        "floors": list(floors),
    }
    results.manifest["pretrained_runs"] = []
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 0.01, (100, trials))
    for chosen in itertools.product(*grid.values()):
        picked = {"encoder": "pase_plus", "scenario": "frozen", "dataset": "openmic"} | dict(
            zip(grid, chosen, strict=True)
        )
        cell = factors(picked.pop("encoder"), picked.pop("scenario"), picked.pop("dataset"), **picked)
        add_cell(results, cell, value(cell) + shared[len(cell["dataset"])] + rng.normal(0, 0.01, trials))
    for floor, dataset in itertools.product(floors, grid.get("dataset", ["openmic"])):
        untrained = dict.fromkeys(PRETRAINING[2:-1], "none") | {"corpus": "none"}
        add_cell(
            results, factors(floor, "frozen", dataset) | untrained, CHANCE + shared[len(dataset)] + len(floor) / 1000
        )
    return results


def add_cell(results: Results, cell: Cell, values: np.ndarray) -> None:
    """Plan and write a cell; a fraction decides its training samples out of 4,000."""
    clips = round(4000 * parse_fraction(str(cell["fraction"])))
    results.add(cell, values, train_clips=clips)
    if cell["corpus"] != "none":
        run = {factor: cell[factor] for factor in PRETRAINING}
        place = results.folder.joinpath("pretrained", *map(str, run.values()))
        if {"folder": str(place), "factors": run} not in results.manifest["pretrained_runs"]:
            results.manifest["pretrained_runs"].append({"folder": str(place), "factors": run})


def write_predictions(results: Results, *, classes: Sequence[str] = DANCES, trials: int = 10, ndim: int = 3) -> None:
    """Write predictions of every planned cell: counts of 20 test clips per class, mostly correct."""
    rng = np.random.default_rng(1)
    for entry in results.manifest["cells"]:
        right = 0.4 + 0.1 * len(str(entry["factors"]["workers"])) / 6
        chances = np.full((len(classes),) * 2, (1 - right) / (len(classes) - 1))
        np.fill_diagonal(chances, right)
        counts = rng.multinomial(20, chances, size=(trials, len(classes)))
        if ndim == 4:
            counts = np.ones((trials, len(classes), 2, 2), int)
        np.savez(
            Path(entry["path"]).with_name("predictions.npz"),
            clips=np.array(["a"]),
            classes=np.array(classes),
            labels=np.zeros((1, len(classes))),
            scores=np.zeros((trials, 1, len(classes))),
            confusion=counts,
        )


def write_corpora(results: Results, *, classes: Sequence[str] = TAGS, clips: int = 1000, source: str = "twin") -> None:
    """Write a corpus without audio for every planned data set: the first class is most frequent, songs have 5 clips.

    A fifth of the clips are tested on. The job that wrote it becomes one of its evaluations.
    """
    for dataset in sorted({entry["factors"]["dataset"] for entry in results.manifest["cells"]}):
        rng = np.random.default_rng(len(dataset))
        labels = (rng.random((clips, len(classes))) < 0.25 / np.arange(1, len(classes) + 1) ** 0.6).astype(np.float32)
        names = [f"clip{number:05d}" for number in range(clips)]
        table = pd.DataFrame({"clip": names, "offset": 0, "length": 29 * RATE, "group": [n // 5 for n in range(clips)]})
        table["split"] = np.array(["train", "train", "train", "valid", "test"])[table["group"] % 5]
        folder = results.folder / "corpora" / dataset / str(RATE)
        folder.mkdir(parents=True, exist_ok=True)
        table.assign(group=table["group"].map("song{:04d}".format)).to_parquet(folder / "clips.parquet")
        pd.DataFrame(labels, columns=list(classes)).assign(clip=names).to_parquet(folder / "labels.parquet")
        facts = {
            "dataset": dataset,
            "task": "multilabel",
            "classes": list(classes),
            "sample_rate": RATE,
            "source": source,
            "clips": clips,
            "seconds": 29.0 * clips,
            "quarantined": 0,
            "scaled": 0,
            "defective": 0,
            "digest": "digest",
            "content": f"data{dataset}",
        }
        (folder / "corpus.json").write_text(json.dumps(facts))
        _done(results, "prepare", folder / "corpus.json", folder / "record.json", dataset=dataset)


def write_embeddings(
    results: Results,
    *,
    crop_length: int | None = None,
    size: int | Callable[[Cell], int] = 32,
    skill: Callable[[Cell], float] = lambda cell: 1.5,
) -> None:
    """Write embeddings of every planned frozen cell: the distance of the first six classes is `skill` of the cell."""
    for entry in list(results.manifest["cells"]):
        cell = entry["factors"]
        if cell["scenario"] != "frozen":
            continue
        corpus = results.folder / "corpora" / cell["dataset"] / str(RATE)
        labels = pd.read_parquet(corpus / "labels.parquet").drop(columns="clip").to_numpy()[:, :6]
        songs = pd.read_parquet(corpus / "clips.parquet")["group"].str.removeprefix("song").astype(int).to_numpy()
        rng = np.random.default_rng(len(cell["encoder"] + cell["workers"]))
        values = size(cell) if callable(size) else size
        centres, places = rng.normal(0, skill(cell), (6, values)), rng.normal(0, 1, (songs.max() + 1, values))
        crops = 1 if crop_length is None else 29 * RATE // crop_length
        vectors = np.repeat(labels @ centres + places[songs], crops, axis=0)
        vectors = vectors + rng.normal(0, 1, vectors.shape)
        output = results.folder.joinpath("embeddings", *(str(cell[factor]) for factor in PRETRAINING))
        output.mkdir(parents=True, exist_ok=True)
        np.save(output / f"{cell['dataset']}.npy", vectors.astype(np.float32))
        record = {"data": {cell["dataset"]: "digest"}, "crop_length": crop_length}
        (output / f"{cell['dataset']}.json").write_text(json.dumps(record))
        _done(results, "embed", output / f"{cell['dataset']}.npy", output / f"{cell['dataset']}.json", **cell)


def write_spectra(results: Results) -> None:
    """Write spectra of every planned cell: untrained filters peak on the line of the stride, others all over."""
    for entry in list(results.manifest["cells"]):
        cell, rng = entry["factors"], np.random.default_rng(len(entry["factors"]["encoder"]))
        layers = {}
        for layer in (1, 4, 6):
            bins = (
                np.full(24, 146 if "cpc" in cell["encoder"] else 243)
                if cell["corpus"] == "none"
                else np.arange(24) * 15 + 3
            )
            power = 0.2 * rng.random((24, 365)).astype(np.float32)
            power[np.arange(24), rng.permutation(bins)] = 2
            layers[f"{layer} mean"] = LayerSpectra(
                power=power, sample_rate=22050, stride=5 if "cpc" in cell["encoder"] else 3
            )
        folder = results.folder.joinpath("filters", *(str(level) for level in cell.values()))
        folder.mkdir(parents=True)
        write_filter_spectra(folder / "spectra.npz", layers)
        _done(results, "visualise_filters", folder / "spectra.npz", folder / "record.json", **cell)


def write_encoder_sizes(results: Results, *, parameters: Mapping[str, int]) -> None:
    """Write the record of every planned pre-training, with the size of its encoder."""
    for run in results.manifest["pretrained_runs"]:
        folder = Path(run["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        size = parameters[run["factors"]["encoder"]]
        (folder / "record.json").write_text(json.dumps({"parameters": {"encoder": size, "workers": {}}}))
        _done(results, "pretrain", folder / "encoder.safetensors", folder / "record.json", **run["factors"])


def write_recipes(results: Results, recipes: Mapping[str, Mapping[str, object]]) -> None:
    """Write the record of every planned pre-training, with its recipe."""
    for run in results.manifest["pretrained_runs"]:
        folder = Path(run["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        content = {"config": {"recipe": recipes[run["factors"]["recipe"]]}}
        (folder / "record.json").write_text(json.dumps(content))
        _done(results, "pretrain", folder / "encoder.safetensors", folder / "record.json", **run["factors"])


def _done(results: Results, stage: str, output: Path, record: Path, **levels: object) -> None:
    """Add a job to those of the evaluations with these levels."""
    jobs = results.manifest.setdefault("jobs", [])
    place = len(jobs)
    jobs.append([stage, str(output), str(record), str(output.with_suffix(".log"))])
    for entry in results.manifest["cells"]:
        if all(entry["factors"][factor] == level for factor, level in levels.items()):
            entry.setdefault("jobs", []).append(place)


def write_tag_predictions(
    results: Results, skill: Callable[[Cell], float], *, tags: Sequence[str] = TAGS, clips: int = 400, trials: int = 3
) -> None:
    """Write predictions of tags for every planned cell, and the trials computed from them.

    The scores of positive clips are higher by `skill` of the cell, scaled by tag, in noise partly shared by the trials.
    """
    for entry in results.manifest["cells"]:
        cell = entry["factors"]
        labels = (np.random.default_rng(0).random((clips, len(tags))) < 0.3 / np.arange(1, len(tags) + 1) ** 0.6) * 1.0
        rng = np.random.default_rng(len(str(cell)) + int(cell["pretrain_seed"]))
        ease = np.random.default_rng(1).uniform(0.4, 1.6, len(tags)) + rng.normal(0, 0.05, len(tags))
        noise = rng.normal(0, 1, (clips, len(tags))) + rng.normal(0, 0.3, (trials, clips, len(tags)))
        scores = 1 / (1 + np.exp(-(skill(cell) * ease * labels + noise)))
        np.savez(
            Path(entry["path"]).with_name("predictions.npz"),
            clips=np.arange(clips).astype(str),
            classes=np.array(tags),
            labels=labels.astype(np.float32),
            scores=scores.astype(np.float32),
            confusion=np.stack([confusion("multilabel", labels=labels, scores=of_trial) for of_trial in scores]),
        )
        row = pd.read_csv(entry["path"], dtype=str).iloc[0].to_dict() | {"test_clips": clips}
        areas = [metrics("multilabel", labels=labels, scores=of_trial)["roc_auc"] for of_trial in scores]
        rows = [
            row | {"trial": trial, "seed": 1000 + trial, "metric": "roc_auc", "value": area}
            for trial, area in enumerate(areas)
        ]
        pd.DataFrame(rows).to_csv(entry["path"], index=False)


def write_windows(results: Results, *, windows: int = 14, seconds: float = 3.862) -> None:
    """Add scores by window to the predictions of every planned cell: those of the first trial plus noise."""
    for entry in results.manifest["cells"]:
        path = Path(entry["path"]).with_name("predictions.npz")
        stored = dict(np.load(path))
        first = stored["scores"][0]
        rng = np.random.default_rng(len(str(entry["factors"])))
        spread = np.clip(
            np.repeat(first, windows, axis=0) + rng.normal(0, 0.1, (len(first) * windows, first.shape[1])), 0, 1
        )
        np.savez(
            path,
            **stored,
            windows_scores=spread.astype(np.float16),
            windows_clips=np.repeat(np.arange(len(first)), windows).astype(np.int32),
            windows_starts=np.tile(seconds / 2 * np.arange(windows), len(first)).astype(np.float32),
            windows_seconds=np.array(seconds),
        )


def write_losses(results: Results, *, epochs: int = 20, splits: Sequence[str] = ("train", "valid")) -> None:
    """Write losses of every pre-trained run; re-weighted ones have reciprocals as weights."""
    for run in results.manifest["pretrained_runs"]:
        rows = [
            {
                "epoch": epoch,
                "split": split,
                "worker": worker,
                "loss": start / epoch**0.3,
                "weight": 1.0 if run["factors"]["weighting"] == "equal" else 1.3 / start,
            }
            for epoch in range(1, epochs + 1)
            for split in splits
            for worker, start in LOSSES.items()
        ]
        Path(run["folder"]).mkdir(parents=True)
        pd.DataFrame(rows).to_csv(Path(run["folder"]) / "losses.csv", index=False)


def numbers(results: Results) -> pd.DataFrame:
    """Return the numbers of the only study's figure."""
    return _parts(results, _state(results)).numbers.copy()


def figure(results: Results) -> Figure:
    """Return the only study's figure."""
    return _draw(results, _state(results))


def description(results: Results) -> str:
    """Return the only study's figure in words."""
    parts = _parts(results, _state(results))
    labels.use_labels_of(parts.manifest)
    text: str = parts.level.describe(parts.study, parts.numbers)
    return text


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """The only study with its kind of figure, options and numbers."""

    manifest: Manifest
    study: Study
    level: Any
    options: Any
    numbers: pd.DataFrame


def _state(results: Results) -> str:
    """Return what the figure depends on: the manifest, and names, sizes and times of the files of results."""
    paths = sorted(path for path in results.folder.rglob("*") if path.is_file())
    inputs = [path for path in paths if path.parent.name != "statistics" and path != results.folder / "plan.json"]
    files = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in inputs]
    return json.dumps([results.manifest, files], default=str)


@functools.lru_cache(maxsize=4)
def _parts(results: Results, state: str) -> _Parts:
    manifest = read_manifest(results.manifest_file())
    (study,) = manifest.studies
    assert study.figure is not None
    level = levels.load("figure", study.figure.kind)
    options = levels.options(level, study.figure.options)
    evidence = Evidence(study=study, manifest=manifest, statistics=Statistics(statistics(results)))
    labels.use_labels_of(manifest)
    table = level.numbers(study, evidence, options)
    return _Parts(manifest=manifest, study=study, level=level, options=options, numbers=table)


@functools.lru_cache(maxsize=4)
def _draw(results: Results, state: str) -> Figure:
    parts = _parts(results, state)
    labels.use_labels_of(parts.manifest)
    return plotting.draw_figure(
        lambda study, numbers: parts.level.draw(study, numbers, parts.options), parts.study, parts.numbers
    )


def visible_texts(figure: Figure) -> list[Text]:
    """Return the visible texts after layout."""
    figure.draw_without_rendering()
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_visible()]
    unseen = {
        tick.label1 for panel in figure.axes for axis in (panel.xaxis, panel.yaxis) for tick in ticks_outside_view(axis)
    }
    return [text for text in texts if text.get_text().strip() and text not in unseen]


def ticks_outside_view(axis: Axis) -> list[Tick]:
    """Return the ticks that matplotlib keeps and does not draw."""
    low, high = sorted(axis.get_view_interval())
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    return [tick for tick in ticks if not low <= tick.get_loc() <= high]


def assert_nothing_overlaps(figure: Figure) -> None:
    """Assert that no text overlaps another or exceeds the figure."""
    texts = visible_texts(figure)
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
    for number, (text, box) in enumerate(boxes):
        assert box.x0 >= -1 and box.y0 >= -1, text  # noqa: PT018
        assert box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1, text  # noqa: PT018
        for other, other_box in boxes[number + 1 :]:
            assert not box.overlaps(other_box), f"{text!r} overlaps {other!r}"


def trials_files(results: Results, **levels: object) -> list[Path]:
    """Return the trials files of the planned cells with these levels."""
    return [
        Path(entry["path"])
        for entry in results.manifest["cells"]
        if all(entry["factors"][factor] == level for factor, level in levels.items())
    ]


def remove_cells(results: Results, **levels: object) -> None:
    """Delete the trials of the cells with these levels, as if they were never run."""
    for path in trials_files(results, **levels):
        path.unlink(missing_ok=True)


def macro_f1(results: Results, **levels: object) -> np.ndarray:
    """Return macro F1 of the trials of the only cell with these levels."""
    (path,) = trials_files(results, **levels)
    trials = pd.read_csv(path)
    return trials[trials["metric"] == "macro_f1"].sort_values("trial")["value"].to_numpy()


def tag_roc_auc(results: Results, tag: str, **levels: object) -> np.ndarray:
    """Return ROC-AUC of a tag in each trial of one cell, in percent."""
    (path,) = trials_files(results, **levels)
    stored = np.load(path.with_name("predictions.npz"))
    column = list(stored["classes"]).index(tag)
    return np.array(
        [100 * roc_auc_score(stored["labels"][:, column], of_trial[:, column]) for of_trial in stored["scores"]]
    )
