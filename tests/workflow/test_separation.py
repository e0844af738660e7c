"""The smoke DAG of System C, and of the study that combines all three systems, end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors import safe_open
from sklearn.metrics import average_precision_score

from tests.checkout import REPOSITORY
from tests.workflow.smoke_run import (
    METHOD,
    check_published_means,
    check_table_means,
    read_numbers,
    run_studies,
    snakemake,
)
from workflow_scripts.levels.factors import PRETRAINING
from workflow_scripts.statistics.reproduction.statements import read_statements

pytestmark = pytest.mark.slow

STUDIES = (
    *(f"garoufis2024_{name}" for name in ("results", "schemes", "tags", "cases")),
    "all_systems",
)
DRAWN = ("garoufis2024_tags", "garoufis2024_cases", "all_systems")
STATED = {
    study: yaml.safe_load((REPOSITORY / f"config/studies/{study}.yaml").read_text(encoding="utf-8"))
    for study in STUDIES
}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the smoke DAG of these studies in a copy of the repository."""
    return run_studies(STUDIES, folder=tmp_path_factory.mktemp("separation") / "prelude")


def read_predictions(finished: Path, row: pd.Series) -> dict[str, np.ndarray]:
    """Read the predictions of the cell named by a row of a figure's numbers."""
    run = "/".join(row[factor] for factor in PRETRAINING[:-1])
    cell = f"{run}/seed0/{row['dataset']}/{row['head']}/{row['scenario']}/{row['fraction']}/{row['protocol']}"
    with np.load(finished / "results/smoke/evaluations" / cell / "predictions.npz") as kept:
        return dict(kept)


def test_every_study_has_its_artefacts(finished: Path) -> None:
    results = finished / "results/smoke"
    for study in STUDIES:
        for format in ("csv", "md", "tex", "html"):
            assert (results / f"tables/{study}.{format}").stat().st_size > 200, study
    for study in DRAWN:
        for format in ("svg", "pdf", "png", "csv"):
            assert (results / f"figures/{study}.{format}").stat().st_size > 200, study
    separated = pd.read_csv(results / "tables/separation.csv")
    assert set(separated["encoder"]) == {"unet", "unet_multiple"}
    trials = pd.read_csv(results / "statistics/trials.csv", keep_default_na=False)
    assert set(trials.source) == {"twin"}
    assert set(trials.query("scenario == 'three_stage'")["epochs"]) == {4}, "two phases in either stage"


@pytest.mark.parametrize("study", STUDIES)
def test_the_page_shows_what_the_u_nets_of_a_study_separate(finished: Path, study: str) -> None:
    page = (finished / f"results/smoke/report/studies/{study}.html").read_text(encoding="utf-8")
    assert "Separation quality" in page
    assert "Sources separated from songs that were not used in pre-training" in page


@pytest.mark.parametrize("study", STUDIES)
def test_the_means_of_each_table_equal_those_of_the_trials(finished: Path, study: str) -> None:
    stated = {metric for metrics in STATED[study].get("metrics", {}).values() for metric in metrics}
    assert check_table_means(finished, study) == (stated or {STATED[study]["metric"]})


def test_both_back_ends_and_all_schemes_are_in_the_results(finished: Path) -> None:
    table = pd.read_csv(finished / "results/smoke/tables/garoufis2024_results.csv", keep_default_na=False)
    schemes = set(table[["dataset", "encoder", "head", "scenario"]].itertuples(index=False, name=None))
    assert schemes == {
        ("magnatagatune_filtered", "magnitude", "short_chunk_cnn", "supervised"),
        ("fma_medium", "magnitude", "short_chunk_cnn", "supervised"),
        ("magnatagatune_filtered", "unet", "short_chunk_cnn", "supervised"),
        ("magnatagatune_filtered", "unet", "short_chunk_cnn", "three_stage"),
        ("fma_medium", "unet", "short_chunk_cnn", "three_stage"),
        ("magnatagatune_filtered", "unet", "ast", "fine_tuned"),
    }


def test_every_system_has_a_row_beside_the_others(finished: Path) -> None:
    table = pd.read_csv(finished / "results/smoke/tables/all_systems.csv", keep_default_na=False)
    assert set(table["head"]) == {"linear"}
    on_both = {
        ("pase_plus", "WLPMCT", "frozen"),
        ("unet", "vocals", "frozen"),
        ("unet", "vocals", "fine_tuned"),
    }
    on_one = {
        ("samplecnn", "contrastive", "frozen"),
        ("cpc", "predictive_coding", "frozen"),
        ("unet_multiple", "multiple", "frozen"),
    }
    for dataset, expected in {"magnatagatune": on_both | on_one, "fma_medium": on_both}.items():
        rows = table[table["dataset"] == dataset]
        assert set(rows[["encoder", "workers", "scenario"]].itertuples(index=False, name=None)) == expected


def test_systems_are_compared_on_data_sets_of_both(finished: Path) -> None:
    compared = pd.read_csv(finished / "results/smoke/statistics/comparisons.csv", keep_default_na=False)
    comparisons = compared[(compared["study"] == "all_systems") & (compared["status"] == "measured")]
    assert set(comparisons["design"]) == {"paired"}
    on_both = "the U-Net that separated vocals against PASE+, both frozen"
    assert {dataset: set(rows["comparison"]) for dataset, rows in comparisons.groupby("dataset")} == {
        "magnatagatune": {
            "PASE+ against CLMR, both frozen",
            "the U-Net that separated vocals against CLMR, both frozen",
            on_both,
        },
        "fma_medium": {on_both},
    }


def test_differences_of_tags_follow_from_the_predictions(finished: Path) -> None:
    drawn = read_numbers(finished, "garoufis2024_tags").query("mean != ''")
    assert len(drawn) > 5
    bare = drawn.iloc[0].copy()
    bare[[*PRETRAINING[:-1]]] = "none"
    bare["encoder"], bare["scenario"] = "magnitude", "supervised"
    base = read_predictions(finished, bare)
    for levels, rows in drawn.groupby(METHOD, sort=False):
        predictions = read_predictions(finished, pd.Series(dict(zip(METHOD, levels, strict=True))))
        for _, row in rows.iterrows():
            tag = list(predictions["classes"]).index(row["tag"])
            gaps = [
                100 * (average_precision_score(truth, of) - average_precision_score(truth, over))
                for truth, of, over in (
                    (predictions["labels"][:, tag], of[:, tag], over[:, tag])
                    for of, over in zip(predictions["scores"], base["scores"], strict=True)
                )
            ]
            assert float(row["mean"]) == pytest.approx(np.mean(gaps), abs=1e-9)


def test_confidences_are_those_of_the_windows_in_the_first_trial(finished: Path) -> None:
    drawn = read_numbers(finished, "garoufis2024_cases").query("status == 'measured'")
    assert set(drawn["encoder"]) == {"magnitude", "unet"}
    for _, rows in drawn.groupby(["case", "encoder"]):
        kept = read_predictions(finished, rows.iloc[0])
        clip = list(kept["clips"]).index(rows["clip"].iloc[0])
        tag = list(kept["classes"]).index({"without": "vocals", "with": "female vocal"}[rows["case"].iloc[0]])
        windows = kept["windows_scores"][kept["windows_clips"] == clip, tag].astype(float)
        assert rows["confidence"].to_numpy(float) == pytest.approx(100 * windows)
        assert windows.mean() == pytest.approx(kept["scores"][0, clip, tag], abs=1e-3), "float16"
        assert len(windows) == 2
    assert pd.to_numeric(drawn["confidence"]).nunique() > 2, "they learned something"


def test_our_values_beside_published_means_and_layers_follow_from_the_results(finished: Path) -> None:
    assert check_published_means(finished, system="C") >= 8
    path = finished / "results/smoke/statistics/reproduction.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False).query("system == 'C'")
    method = table[table["table_or_figure"] == "method"]
    assert set(method["verdict"]) == {"agrees"}
    (blocks,) = method.loc[method["quantity"] == "unet_blocks", "value"]
    setup = table[(table["study"] == "all_systems") & (table["table_or_figure"] == "setup")]
    assert len(setup) == len(read_statements("all_systems", folder=REPOSITORY / "config"))
    assert (setup["value"] != "").all()
    (encoder,) = (finished / "results/smoke/pretrained/musdb18/unet").rglob("encoder.safetensors")
    with safe_open(encoder, framework="numpy") as kept:
        names = list(kept.keys())
    assert float(blocks) == len({name.split(".")[2] for name in names if ".contracting." in name})


def test_a_second_run_does_nothing(finished: Path) -> None:
    result = snakemake(finished, "--dry-run")
    assert result.returncode == 0, result.stderr
    assert "Nothing to be done" in result.stdout + result.stderr
