"""A synthetic study for each kind of figure, as large as the paper's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tests.figures import figure_asserts
from tests.synthetic_results import Results, factors
from workflow_scripts.networks.sizes.sound_qualities import QUALITIES

SIZES = ("100pct", "75pct", "50pct", "35pct", "20pct", "10pct")


def dots(folder: Path) -> Results:
    """Fig. 2."""
    grid = {
        "encoder": ["pase", "pase_plus"],
        "scenario": ["supervised", "frozen", "fine_tuned"],
        "dataset": figure_asserts.DATASETS,
    }
    gain = {"supervised": 0.1, "frozen": 0.15, "fine_tuned": 0.2}
    return figure_asserts.make_study(
        folder,
        figure={"kind": "dots"},
        rows=["encoder", "scenario"],
        grid=grid,
        value=lambda cell: 0.3 + gain[cell["scenario"]] + 0.05 * (cell["encoder"] == "pase_plus"),
        floors=["random", "random_plus", "handcrafted"],
    )


def frozen_encoders(folder: Path) -> Results:
    """Two encoders and a floor on OpenMIC, of which 50 clips are there."""
    results = figure_asserts.make_study(
        folder,
        figure={"kind": "dots"},
        rows=["encoder", "scenario"],
        grid={"encoder": ["cpc", "samplecnn"], "dataset": ["openmic"]},
        floors=["random"],
    )
    figure_asserts.write_corpora(results, clips=50)
    return results


def weightings(folder: Path) -> Results:
    """Fig. 3."""
    return figure_asserts.make_study(
        folder,
        figure={"kind": "weightings"},
        rows=["workers", "weighting"],
        grid={
            "workers": figure_asserts.WORKER_SETS,
            "weighting": ["equal", "reweighted"],
            "dataset": figure_asserts.DATASETS,
        },
        value=lambda cell: 0.4 + 0.01 * len(cell["workers"]) * (2 if cell["weighting"] == "reweighted" else 1),
        floors=["random_plus", "handcrafted"],
    )


def losses(folder: Path) -> Results:
    """Fig. 4."""
    results = figure_asserts.make_study(
        folder,
        figure={"kind": "losses"},
        rows=["weighting"],
        grid={"weighting": ["equal", "reweighted"], "dataset": ["openmic"]},
    )
    figure_asserts.write_losses(results)
    return results


def relative(folder: Path) -> Results:
    """Fig. 5."""
    return figure_asserts.make_study(
        folder,
        figure={"kind": "relative", "baseline": {"workers": "WLP"}},
        rows=["workers"],
        grid={"workers": figure_asserts.WORKER_SETS, "dataset": figure_asserts.DATASETS},
        value=lambda cell: 0.5 + 0.04 * ("T" in cell["workers"]) - 0.01 * ("C" in cell["workers"]),
    )


def confusions(folder: Path) -> Results:
    """Fig. 6."""
    pairs = [("WLPT", "WLP"), ("WLPMCT", "WLPT")]
    results = figure_asserts.make_study(
        folder,
        figure={
            "kind": "confusions",
            "matrix": {"workers": "WLP"},
            "differences": [{"of": {"workers": of}, "over": {"workers": over}} for of, over in pairs],
        },
        rows=["workers"],
        grid={"workers": ["WLP", "WLPT", "WLPMCT"], "dataset": ["extended_ballroom"]},
    )
    figure_asserts.write_predictions(results)
    return results


def training_sizes(folder: Path) -> Results:
    """Fig. 8: fine-tuning better from some 1,300 samples on, always, and never."""

    def value(cell: figure_asserts.Cell) -> float:
        share = float(cell["fraction"].removesuffix("pct")) / 100
        lead = {"openmic": 0.06 * (share - 0.33), "fma_small": -0.05, "extended_ballroom": 0.05}[cell["dataset"]]
        return float(0.4 + 0.1 * share + lead * (cell["scenario"] == "fine_tuned"))

    return figure_asserts.make_study(
        folder,
        figure={"kind": "training_sizes"},
        rows=["scenario", "fraction"],
        grid={"scenario": ["frozen", "fine_tuned"], "fraction": SIZES, "dataset": figure_asserts.DATASETS},
        value=value,
    )


def ranks(folder: Path) -> Results:
    """Worker sets ranked over three data sets: two that are worse everywhere, and floors."""
    return figure_asserts.make_study(
        folder,
        figure={"kind": "ranks"},
        rows=["workers", "weighting"],
        grid={
            "workers": figure_asserts.WORKER_SETS,
            "weighting": ["equal", "reweighted"],
            "dataset": figure_asserts.DATASETS,
        },
        value=lambda cell: 0.45 if cell["workers"] == "WLP" else 0.5 + 0.004 * len(cell["workers"]),
        floors=["random_plus", "handcrafted"],
    )


AUGMENTATIONS = ("polarity", "noise", "gain", "filter", "delay", "pitch", "reverb")
SIZES_OF_ENCODERS = {"samplecnn": 2_379_520, "cpc": 6_367_232}


def parameters(folder: Path) -> Results:
    """Fig. 1.1 of Spijkervet: two self-supervised encoders, and one of them from scratch."""
    results = figure_asserts.make_study(
        folder,
        figure={"kind": "parameters"},
        rows=["encoder", "workers", "scenario"],
        grid={"encoder": ["samplecnn", "cpc"], "workers": ["contrastive"], "dataset": ["magnatagatune"]},
        value=lambda cell: 0.35 if cell["encoder"] == "samplecnn" else 0.31,
        floors=["random", "handcrafted"],
    )
    figure_asserts.add_cell(results, factors("samplecnn", "supervised", "magnatagatune"), 0.34 + np.arange(10) / 1000)
    figure_asserts.write_encoder_sizes(results, parameters=SIZES_OF_ENCODERS)
    return results


RECIPES = {
    name: {
        "epochs": epochs,
        "batch": batch,
        "chunk_seconds": 2.7,
        "optimiser": "auto",
        "encoder_learning_rate": 0.0003,
        "worker_learning_rate": 0.0003,
        "warmup_epochs": 30,
        "schedule": "cosine",
    }
    for name, epochs, batch in (("clmr_96", 3000, 96), ("clmr_456", 3000, 456))
}


def schedule(folder: Path) -> Results:
    """Fig. 5.1 of Spijkervet: two batches with LARS."""
    results = figure_asserts.make_study(
        folder,
        figure={"kind": "schedule"},
        rows=["recipe"],
        grid={"encoder": ["samplecnn"], "workers": ["contrastive"], "recipe": [*RECIPES]},
    )
    figure_asserts.write_recipes(results, RECIPES)
    return results


def tags(folder: Path) -> Results:
    """Figs. 4.1 and 4.2."""
    grid = {"dataset": ["magnatagatune", "msd"]}
    results = figure_asserts.make_study(folder, figure={"kind": "tags"}, rows=["encoder"], grid=grid)
    figure_asserts.write_corpora(results, clips=20_000)
    return results


def embedding_map(folder: Path) -> Results:
    """Fig. 6.1, coloured by tag."""
    results = figure_asserts.make_study(
        folder,
        figure={"kind": "embedding_map"},
        rows=["encoder", "workers"],
        grid={"workers": ["contrastive", "predictive_coding"], "dataset": ["magnatagatune"]},
        floors=["random"],
    )
    figure_asserts.write_corpora(results, clips=500)
    figure_asserts.write_embeddings(
        results, skill=lambda cell: {"contrastive": 2.0, "predictive_coding": 1.0}.get(cell["workers"], 0.3)
    )
    return results


def filters_of_encoders(
    folder: Path,
    *,
    kind: str,
    datasets: Sequence[str],
    floors: Sequence[str],
    corpora: Sequence[str] = (),
    workers: Sequence[str] = ("contrastive",),
    size: int = 32,
) -> Results:
    """Encoders pre-trained on each of the corpora, and floors, with their embeddings of the test clips.

    The corpora are the data sets; for a comparison of two data sets, the first.
    """
    results = figure_asserts.make_study(
        folder,
        figure={"kind": kind},
        rows=["encoder", "corpus", *(["workers"] if len(workers) > 1 else [])],
        grid={
            "encoder": ["samplecnn"],
            "workers": workers,
            "corpus": corpora or (datasets[:1] if kind == "out_of_domain" else datasets),
            "dataset": datasets,
        },
        floors=floors,
    )
    figure_asserts.write_corpora(results, classes=figure_asserts.TAGS[:8], clips=500)
    figure_asserts.write_embeddings(
        results,
        size=lambda cell: len(QUALITIES) if cell["encoder"] == "sound_qualities" else size,
        skill=lambda cell: 0.3 if cell["corpus"] == "none" else 2.0,
    )
    return results


def activations(folder: Path) -> Results:
    """Figs. 7.4 and 7.5 of Spijkervet."""
    datasets = ["magnatagatune", "msd"]
    return filters_of_encoders(folder, kind="activations", datasets=datasets, floors=["random_samplecnn"])


def factors_of_filters(folder: Path) -> Results:
    """Fig. 7.6."""
    return filters_of_encoders(folder, kind="factors", datasets=["magnatagatune"], floors=["random_samplecnn"])


def activating_tags(folder: Path) -> Results:
    """Fig. 7.8."""
    return filters_of_encoders(folder, kind="activating_tags", datasets=["magnatagatune"], floors=["random_samplecnn"])


def out_of_domain(folder: Path) -> Results:
    """Section 7.5."""
    floors = ["random_samplecnn", "sound_qualities"]
    return filters_of_encoders(folder, kind="out_of_domain", datasets=["magnatagatune", "msd"], floors=floors)


def per_tag(folder: Path) -> Results:
    """Fig. 6.2: two self-supervised methods and one from scratch."""
    results = figure_asserts.make_study(
        folder,
        figure={"kind": "per_tag"},
        rows=["encoder", "workers", "scenario"],
        grid={"encoder": ["samplecnn", "cpc"], "workers": ["contrastive"], "dataset": ["magnatagatune"]},
    )
    figure_asserts.add_cell(results, factors("samplecnn", "supervised", "magnatagatune"), np.full(10, 0.5))
    results.manifest["studies"]["fig2"]["metric"] = "roc_auc"
    figure_asserts.write_tag_predictions(results, lambda cell: 2.2 if cell["encoder"] == "cpc" else 2.6)
    return results


def probabilities(folder: Path) -> Results:
    """Fig. 6.4: delay and pitch are best at 0.4."""
    curves = [{"augmentation": ["crop", f"{name}_40", f"{name}_80"]} for name in AUGMENTATIONS]
    levels = list(dict.fromkeys(level for curve in curves for level in curve["augmentation"]))

    def value(cell: figure_asserts.Cell) -> float:
        name, _, percent = cell["augmentation"].partition("_")
        return 0.3 + (0.01 + 0.02 * (name in ("delay", "pitch")) * (percent == "40")) * (name != "crop")

    return figure_asserts.make_study(
        folder,
        figure={"kind": "probabilities", "at": [0, 0.4, 0.8], "names": list(AUGMENTATIONS), "curves": curves},
        rows=["augmentation"],
        grid={"augmentation": levels, "dataset": ["magnatagatune"]},
        value=value,
    )


SOURCES = ("bass", "drums", "other", "vocals")
BARE = {**factors("magnitude", "supervised", "magnatagatune"), "head": "short_chunk_cnn"}


def filter_spectra(folder: Path) -> Results:
    """Fig. 7.1: two encoders, and both untrained."""
    results = figure_asserts.make_study(
        folder,
        figure={"kind": "filter_spectra"},
        rows=["encoder"],
        grid={"encoder": ["samplecnn", "cpc"], "workers": ["contrastive"], "dataset": ["magnatagatune"]},
        floors=["random_samplecnn", "random_cpc"],
    )
    figure_asserts.write_spectra(results)
    return results


def separated(folder: Path, *, figure: dict, sources: Sequence[str]) -> Results:
    """A back end alone and behind U-Nets that have separated sources."""
    results = figure_asserts.make_study(
        folder,
        figure=figure,
        rows=["encoder", "workers"],
        columns=["dataset", "head"],
        grid={
            "encoder": ["unet"],
            "scenario": ["three_stage"],
            "dataset": ["magnatagatune"],
            "workers": sources,
            "head": ["short_chunk_cnn"],
        },
    )
    figure_asserts.add_cell(results, BARE, np.full(10, 0.5))
    results.manifest["studies"]["fig2"]["metric"] = "roc_auc"
    figure_asserts.write_tag_predictions(results, lambda cell: 2.0 + 0.2 * (cell["workers"] == "vocals"))
    return results


def tag_differences(folder: Path) -> Results:
    """The per-tag differential of Garoufis et al."""
    figure = {"kind": "tag_differences", "over": {"encoder": "magnitude"}, "tags": list(figure_asserts.TAGS[:14])}
    return separated(folder, figure=figure, sources=SOURCES)


def confidence(folder: Path) -> Results:
    """Their qualitative analysis."""
    figure = {"kind": "confidence", "of": {"workers": "vocals"}, "over": {"encoder": "magnitude"}, "tag": "vocals"}
    results = separated(folder, figure=figure | {"alike": ["vocal", "singing"]}, sources=["vocals"])
    figure_asserts.write_windows(results)
    return results


def augmentations(folder: Path) -> Results:
    """Fig. 6.3: dots, against the crop alone as a line."""
    return figure_asserts.make_study(
        folder,
        figure={"kind": "dots", "line": {"augmentation": "crop"}},
        rows=["augmentation"],
        grid={"augmentation": ["crop", *AUGMENTATIONS], "dataset": ["magnatagatune"]},
        value=lambda cell: 0.305 + 0.01 * (cell["augmentation"] != "crop") + 0.03 * (cell["augmentation"] == "filter"),
    )


BY_KIND: dict[str, Callable[[Path], Results]] = {
    study.__name__: study
    for study in (
        dots,
        weightings,
        losses,
        relative,
        confusions,
        training_sizes,
        ranks,
        parameters,
        schedule,
        tags,
        embedding_map,
        per_tag,
        probabilities,
        tag_differences,
        confidence,
        filter_spectra,
        activations,
        activating_tags,
        out_of_domain,
    )
} | {"factors": factors_of_filters}
