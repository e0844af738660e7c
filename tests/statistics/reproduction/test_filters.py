"""Quantities about filters, recomputed from the embeddings of synthetic studies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from tests.figures import figure_asserts, synthetic_studies
from tests.statistics.reproduction.test_quantities import lines
from workflow_scripts.core.errors import UserError
from workflow_scripts.planning.manifest import PlannedCell
from workflow_scripts.statistics.embeddings import read_embeddings
from workflow_scripts.statistics.filters.agreement import estimate_agreement, read_pair
from workflow_scripts.statistics.filters.class_counts import estimate_excess
from workflow_scripts.statistics.filters.factors import analyse_factors

TRAINED, UNTRAINED = {"encoder": "samplecnn"}, {"encoder": "random_samplecnn"}
ROW = "B.fig7_8.techno"


def study(
    folder: Path,
    *,
    datasets: tuple[str, ...] = ("magnatagatune",),
    corpora: tuple[str, ...] = (),
    floors: tuple[str, ...] = (),
) -> Any:
    kind = "out_of_domain" if len(datasets) > 1 else "factors"
    floors = ("random_samplecnn", *floors)
    return synthetic_studies.filters_of_encoders(
        folder, kind=kind, datasets=list(datasets), corpora=list(corpora), floors=list(floors)
    )


def value(results: Any, quantity: str, of: dict, **more: object) -> dict:
    (line,) = lines(results, {"id": ROW, "quantity": quantity, "of": of, "expected": "above zero"} | more)
    return line


def activations(results: Any, encoder: str, dataset: str = "magnatagatune") -> tuple[np.ndarray, np.ndarray]:
    """Activations (clips, filters) and tags (clips, tags) of the test clips."""
    cells: list[PlannedCell] = list(results.read().cells)
    cell = next(c for c in cells if (c.factors["encoder"], c.factors["dataset"]) == (encoder, dataset))
    embeddings = read_embeddings(cell)
    assert embeddings is not None
    values, rows = embeddings.of_clips
    return values, embeddings.corpus.labels[rows].astype(float)


def excess(values: np.ndarray, tag: np.ndarray) -> float:
    """Mean over filters of the tag's share among a filter's ten clips, over its share in the test set, in percent."""
    shares = [tag[np.argsort(-values[:, number])[:10]].mean() for number in range(values.shape[1])]
    return float(100 * (np.mean(shares) / tag.mean() - 1))


def test_class_excess_is_that_of_the_most_activating_clips(tmp_path: Path) -> None:
    results = study(tmp_path)
    place = figure_asserts.TAGS.index("techno")
    read = (activations(results, side["encoder"]) for side in (TRAINED, UNTRAINED))
    of, over = (excess(values, tags[:, place]) for values, tags in read)
    line = value(results, "class_excess", TRAINED, options={"classes": ["techno"]})
    assert line["value"] == pytest.approx(of)
    assert line["ci_low"] < of < line["ci_high"]
    assert (line["replicate"], line["n"], line["variance_sources"]) == ("clusters", 20, "test set")
    assert (line["verdict"] == "holds") == (line["ci_low"] > 0)
    gain = value(results, "class_excess_gain", TRAINED, over=UNTRAINED, options={"classes": ["techno"]})
    assert gain["value"] == pytest.approx(of - over)


def test_the_factor_with_the_lowest_interval_decides(tmp_path: Path) -> None:
    results = study(tmp_path)
    values, tags = activations(results, "samplecnn")
    factors, either = analyse_factors(values), tags[:, [3, 7]].any(axis=1)
    groups = [values[:, factors.strongest(component)] for component in range(3)]
    # The tests of `estimate_excess` recompute its values and intervals.
    clusters = np.arange(len(values)) // 5  # songs of five clips
    estimates = estimate_excess(groups, either[:, None], clusters=clusters, top=10)
    lowest = int(np.argmin([estimates.interval(component).low for component in range(3)]))
    line = value(results, "factor_class_excess", TRAINED, options={"classes": ["techno", "rock"]})
    assert line["value"] == pytest.approx(excess(groups[lowest], either))
    assert line["ci_low"] == pytest.approx(estimates.interval(lowest).low)


def test_a_class_that_the_data_set_lacks_gives_no_verdict(tmp_path: Path) -> None:
    line = value(study(tmp_path), "class_excess", TRAINED, options={"classes": ["metal"]})
    assert (line["verdict"], line["reason"]) == ("not run", "magnatagatune has no class metal")


def test_gains_of_activations_are_differences_of_means_over_clips(tmp_path: Path) -> None:
    results = study(tmp_path, datasets=("magnatagatune", "msd"))
    shares = [100 * (activations(results, "samplecnn", name)[0] > 0).mean() for name in ("msd", "magnatagatune")]
    sides = ({"dataset": name, **TRAINED} for name in ("msd", "magnatagatune"))
    line = value(results, "active_share_gain", next(sides), over=next(sides))
    assert line["value"] == pytest.approx(shares[0] - shares[1])
    assert np.isfinite(line["ci_low"])


def test_agreement_is_the_mean_rank_correlation_over_filters(tmp_path: Path) -> None:
    results = study(tmp_path, datasets=("magnatagatune", "msd"), floors=("sound_qualities",))

    def means(encoder: str, dataset: str) -> np.ndarray:
        values, qualities = (activations(results, name, dataset)[0] for name in (encoder, "sound_qualities"))
        return np.array([qualities[np.argsort(-values[:, n])[:10]].mean(axis=0) for n in range(values.shape[1])])

    def correlations(encoder: str) -> list[float]:
        first, second = (means(encoder, dataset) for dataset in ("magnatagatune", "msd"))
        return [spearmanr(first[:, place], second[:, place]).statistic for place in range(first.shape[1])]

    of, over = (correlations(side["encoder"]) for side in (TRAINED, UNTRAINED))
    assert value(results, "filter_agreement", TRAINED)["value"] == pytest.approx(np.mean(of))
    gain = value(results, "filter_agreement_gain", TRAINED, over=UNTRAINED)
    assert gain["value"] == pytest.approx(np.mean(of) - np.mean(over))
    cells = results.read().cells
    pair = read_pair([cell for cell in cells if cell.matches(TRAINED)], cells, first="magnatagatune")
    assert not isinstance(pair, str)
    estimates = estimate_agreement(pair)
    lowest = int(np.argmin([estimates.interval(place).low for place in range(len(of))]))
    assert value(results, "weakest_filter_agreement", TRAINED)["value"] == pytest.approx(of[lowest])


def test_an_untrained_encoder_reads_the_data_sets_in_the_order_of_the_trained_one(tmp_path: Path) -> None:
    """Resamples are of the same clips then, whichever data set is named first."""
    results = study(tmp_path, datasets=("magnatagatune", "msd"), corpora=("msd",), floors=("sound_qualities",))
    of, over = (value(results, "filter_agreement", side) for side in (TRAINED, UNTRAINED))
    gain = value(results, "filter_agreement_gain", TRAINED, over=UNTRAINED)
    assert gain["value"] == pytest.approx(of["value"] - over["value"])
    assert np.isfinite(gain["ci_low"])


def test_agreements_on_other_clips_are_not_compared(tmp_path: Path) -> None:
    results = study(tmp_path, datasets=("magnatagatune", "msd", "gtzan"), floors=("sound_qualities",))
    for cell in results.manifest["cells"]:  # one reads the first two data sets, the other the first and the last
        levels = (cell["factors"]["encoder"], cell["factors"]["dataset"])
        if levels in (("samplecnn", "gtzan"), ("random_samplecnn", "msd")):
            cell["jobs"] = []
    line = value(results, "filter_agreement_gain", TRAINED, over=UNTRAINED)
    assert (line["verdict"], line["reason"]) == ("not run", "`of` and `over` have other test clips")


def test_the_filters_of_several_encoders_have_no_agreement(tmp_path: Path) -> None:
    results = study(tmp_path, datasets=("magnatagatune", "msd"), floors=("sound_qualities",))
    with pytest.raises(UserError, match=f"published {ROW}: `of` and `over` must name the level of corpus, encoder"):
        value(results, "filter_agreement", {"scenario": "frozen"})


def test_without_embeddings_a_claim_is_not_run(tmp_path: Path) -> None:
    results = study(tmp_path)
    for path in (tmp_path / "embeddings").rglob("*.npy"):
        path.unlink()
    line = value(results, "class_excess", TRAINED, options={"classes": ["techno"]})
    assert (line["verdict"], line["reason"]) == ("not run", "no embeddings of the test clips")
