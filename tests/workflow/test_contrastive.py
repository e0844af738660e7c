"""The smoke DAG of System B, and of the studies that combine both systems, end to end."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors import safe_open
from sklearn.metrics import roc_auc_score

from tests.checkout import REPOSITORY
from tests.encoders import external
from tests.workflow.smoke_run import (
    METHOD,
    check_published_means,
    check_table_means,
    read_numbers,
    read_trials,
    run_studies,
    select_method,
    snakemake,
)
from workflow_scripts.levels.factors import DOWNSTREAM, PRETRAINING

pytestmark = pytest.mark.slow

STUDIES = (
    *(f"spijkervet2021_table6_{number}" for number in range(1, 7)),
    *(f"spijkervet2021_fig{number}" for number in ("1_1", "4_1", "4_2", "5_1", *(f"6_{part}" for part in range(1, 7)))),
    "spijkervet2021_sec3_4",
    "encoders_everywhere",
    "combined_workers",
    "foreign_encoders",
)
STATED = {
    study: yaml.safe_load((REPOSITORY / f"config/studies/{study}.yaml").read_text(encoding="utf-8"))
    for study in STUDIES
}
#: factors on the rates in the second of two epochs: poly (half-way) and cosine (at its beginning, after the warm-up)
LAST_FACTORS = {"smoke": 0.5**0.9, "smoke_lars": 1.0}
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")  # of batch normalisation: stored, not trained


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the smoke DAG of these studies in a copy of the repository, with encoders of others."""
    networks = tmp_path_factory.mktemp("networks")
    hear, wav2vec2 = external.write_hear(networks), external.write_transformers(networks)
    checkpoints = {
        "a_hear_module": {"encoder": "hear", "options": hear},
        "a_wav2vec2": {"encoder": "transformers", "path": wav2vec2["path"]},
    }
    more = {
        "checkpoints": checkpoints,
        "trim": {"foreign_encoders": {"checkpoints": ["tiny", *checkpoints]}},
    }
    return run_studies(STUDIES, folder=tmp_path_factory.mktemp("contrastive") / "prelude", more=more)


@pytest.fixture(scope="session")
def pr_auc(finished: Path) -> pd.DataFrame:
    return read_trials(finished, metric="pr_auc")


def test_every_study_has_its_artefacts(finished: Path) -> None:
    results = finished / "results/smoke"
    for study in STUDIES:
        for format in ("csv", "md", "tex", "html"):
            assert (results / f"tables/{study}.{format}").stat().st_size > 200, study
        if "_table" not in study:
            for format in ("svg", "pdf", "png", "csv"):
                assert (results / f"figures/{study}.{format}").stat().st_size > 200, study
    assert (results / "report/index.html").stat().st_size > 1_000
    trials = pd.read_csv(results / "statistics/trials.csv", keep_default_na=False)
    assert set(trials.source) == {"twin"}
    assert set(trials.encoder) >= {"samplecnn", "samplecnn_8000", "cpc", "pase"}


@pytest.mark.parametrize("study", STUDIES)
def test_the_means_of_each_table_equal_those_of_the_trials(finished: Path, study: str) -> None:
    shown = {metric for metrics in STATED[study].get("metrics", {}).values() for metric in metrics}
    assert check_table_means(finished, study) == (shown or {STATED[study]["metric"]})


def test_encoders_of_others_stand_beside_those_pre_trained_here(finished: Path) -> None:
    table = pd.read_csv(finished / "results/smoke/tables/foreign_encoders.csv", keep_default_na=False)
    assert set(table["encoder"]) == {"pase", "samplecnn", "module", "hear", "transformers"}
    assert set(table["status"]) == {"measured"}


def test_a_number_on_the_training_data_of_an_encoder_of_others_is_marked(finished: Path) -> None:
    table = (finished / "results/smoke/tables/foreign_encoders.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| own module +\| tiny encoder +\|.*$", table, re.MULTILINE)
    assert "‡" in row
    assert "‡ tiny encoder: this encoder was trained on OpenMIC" in table


@pytest.mark.parametrize("study", ["spijkervet2021_sec3_4", "spijkervet2021_fig6_3", "spijkervet2021_fig6_4"])
def test_dots_and_probabilities_equal_the_means_of_the_trials(finished: Path, pr_auc: pd.DataFrame, study: str) -> None:
    drawn = read_numbers(finished, study)
    assert len(drawn) >= 2
    for _, row in drawn.iterrows():
        assert float(row["mean"]) == pytest.approx(select_method(pr_auc, row)["value"].mean())


@pytest.mark.parametrize("study", ["spijkervet2021_fig6_5", "spijkervet2021_fig6_6"])
def test_points_of_label_fractions_equal_the_means_of_the_trials(
    finished: Path, pr_auc: pd.DataFrame, study: str
) -> None:
    points = read_numbers(finished, study).query("role == 'point'")
    assert len(points) == 4, "two scenarios, two fractions"
    for _, row in points.iterrows():
        cell = select_method(pr_auc, row)
        assert float(row["mean"]) == pytest.approx(cell["value"].mean())
        assert float(row["train_clips"]) == cell["train_clips"].mean()


def test_learning_rates_follow_from_the_recipes_in_the_records(finished: Path) -> None:
    drawn = read_numbers(finished, "spijkervet2021_fig5_1")
    for name, curve in drawn.groupby("recipe"):
        levels = (curve.iloc[0][factor] for factor in PRETRAINING[:-1])
        path = finished / Path("results/smoke/pretrained", *levels, "seed0/record.json")
        recipe = json.loads(path.read_text(encoding="utf-8"))["config"]["recipe"]
        assert len(curve) == recipe["epochs"]
        lars = 0.075 * recipe["batch"] ** 0.5
        peak = lars if recipe.get("optimiser") == "lars" else recipe["encoder_learning_rate"]
        assert curve["encoder_rate"].astype(float).max() <= peak, name
        assert float(curve["encoder_rate"].iloc[-1]) == pytest.approx(peak * LAST_FACTORS[name])


def test_sizes_and_scores_follow_from_networks_and_trials(finished: Path, pr_auc: pd.DataFrame) -> None:
    drawn = read_numbers(finished, "spijkervet2021_fig1_1").query("role == 'method'")
    assert set(drawn["encoder"]) == {"samplecnn", "cpc"}
    for _, row in drawn.iterrows():
        assert float(row["mean"]) == pytest.approx(select_method(pr_auc, row)["value"].mean())
        if row["corpus"] != "none":
            path = Path("results/smoke/pretrained", *(row[factor] for factor in PRETRAINING[:-1]), "seed0")
            assert int(row["parameters"]) == count_trained_parameters(finished / path / "encoder.safetensors")


def count_trained_parameters(path: Path) -> int:
    with safe_open(path, framework="numpy") as file:
        names = [name for name in file.keys() if not name.endswith(BUFFERS)]  # noqa: SIM118
        return sum(int(np.prod(file.get_slice(name).get_shape())) for name in names)


@pytest.mark.parametrize("study", ["spijkervet2021_fig4_1", "spijkervet2021_fig4_2"])
def test_counts_of_tags_follow_from_the_labels(finished: Path, study: str) -> None:
    drawn = read_numbers(finished, study)
    (dataset,) = set(drawn["dataset"])
    folder = finished / "results/smoke/corpora" / dataset / "22050"
    labels, clips = pd.read_parquet(folder / "labels.parquet"), pd.read_parquet(folder / "clips.parquet")
    counts = labels.drop(columns="clip").eq(1).groupby(clips["split"]).sum()
    for _, row in drawn.iterrows():
        assert int(row["positives"]) == counts.loc[row["split"], row["tag"]]
        assert int(row["clips"]) == (clips["split"] == row["split"]).sum()


def test_scores_per_tag_follow_from_the_predictions(finished: Path) -> None:
    drawn = read_numbers(finished, "spijkervet2021_fig6_2").query("mean != ''")
    assert len(drawn) > 10
    for levels, rows in drawn.groupby(METHOD, sort=False):
        cell_levels = dict(zip(METHOD, levels, strict=True))
        run = "/".join(cell_levels[factor] for factor in PRETRAINING[:-1])
        cell = "/".join([run, "seed0", *(cell_levels[factor] for factor in DOWNSTREAM)])
        with np.load(finished / "results/smoke/evaluations" / cell / "predictions.npz") as file:
            classes, labels, scores = list(file["classes"]), file["labels"], file["scores"]
        for _, row in rows.iterrows():
            tag = classes.index(row["tag"])
            values = [100 * roc_auc_score(labels[:, tag], trial_scores[:, tag]) for trial_scores in scores]
            assert float(row["mean"]) == pytest.approx(np.mean(values))
            assert float(row["std"]) == pytest.approx(np.std(values, ddof=1), abs=1e-9)


def test_a_map_shows_the_crops_of_its_songs(finished: Path) -> None:
    drawn = read_numbers(finished, "spijkervet2021_fig6_1").query("status == 'measured'")
    assert set(drawn["encoder"]) == {"samplecnn", "cpc"}
    clips = pd.read_parquet(finished / "results/smoke/corpora/magnatagatune/22050/clips.parquet").set_index("clip")
    for _, rows in drawn.groupby("panel"):
        groups = clips.loc[rows["clip"], "group"].to_numpy()
        assert len(set(zip(groups, rows["colour"], strict=True))) == len(set(groups)), "a colour is a song"
        assert np.isfinite(pd.to_numeric(rows["x"])).all()


def test_our_values_beside_published_means_follow_from_the_trials(finished: Path) -> None:
    assert check_published_means(finished, system="B") >= 20


def test_a_second_run_does_nothing(finished: Path) -> None:
    result = snakemake(finished, "--dry-run")
    assert result.returncode == 0, result.stderr
    assert "Nothing to be done" in result.stdout + result.stderr
