"""The weigh command: where the losses come from, and what becomes of them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.corpora import write_corpus
from tests.pretraining_runs import arguments, config
from tests.records import seal
from workflow_scripts import pretrain, weigh
from workflow_scripts.configuration.jobs.pretrain import PretrainConfig
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.provenance import digest
from workflow_scripts.pretraining.run import Pretraining

EPOCHS = 2  # of the three that the run has


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpora") / "tones", clips=20, seconds=0.5, task="unlabelled")


@pytest.fixture(scope="module")
def finished(corpus, tmp_path_factory) -> Path:
    """The whole run with equal weights."""
    output = tmp_path_factory.mktemp("equal") / "seed5"
    pretrain.main(arguments(config(), corpus=corpus, output=output))
    return output


def run_weigh(corpus, *, source: Path, output: Path, run: dict | None = None, code: str = "c0de") -> dict:
    """Weights and record."""
    reads = {
        "weighting": {"name": "reweighted", "options": {"epochs": EPOCHS}},
        "run": run or config(),
        "code": code,
    }
    given = ["--config", json.dumps(reads), "--code", "w", "--corpus", str(corpus.folder), "--threads", "1"]
    weigh.main([*given, "--source", str(source), "--output", str(output / "weights.json")])
    weights = json.loads((output / "weights.json").read_text())["weights"]
    return {"weights": weights, **json.loads((output / "weigh.json").read_text())}


def expected_weights(source: Path) -> dict[str, float]:
    losses = pd.read_csv(source / "losses.csv").query("split == 'valid' and epoch <= @EPOCHS")
    return (1 / losses.groupby("worker")["loss"].mean()).to_dict()


def test_weights_are_reciprocals_of_mean_validation_losses(corpus, finished, tmp_path):
    result = run_weigh(corpus, source=finished, output=tmp_path)
    assert result["weights"] == pytest.approx(expected_weights(finished), rel=1e-7)
    assert result["losses_origin"] == "finished run"


def test_only_the_first_epochs_are_trained_where_there_is_no_run(corpus, finished, tmp_path):
    source = tmp_path / "equal" / "seed5"
    result = run_weigh(corpus, source=source, output=tmp_path / "mine")
    assert result["losses_origin"] == "first epochs, trained by this job"
    assert result["weights"] == pytest.approx(expected_weights(finished), rel=1e-7)
    assert not source.exists(), "the whole run was not asked for"


def test_the_whole_run_goes_on_from_these_epochs(corpus, finished, tmp_path):
    source = tmp_path / "equal" / "seed5"
    run_weigh(corpus, source=source, output=tmp_path / "mine")
    pretrain.main(arguments(config(), corpus=corpus, output=source))
    record = json.loads((source / "record.json").read_text())
    assert record["resumed"] == 1
    for name in ("encoder.safetensors", "losses.csv"):
        assert (source / name).read_bytes() == (finished / name).read_bytes()
    assert not list(source.parent.glob(".*")), "nothing is left behind"
    assert not list((tmp_path / "mine").glob(".*"))


def test_a_run_in_progress_serves_as_well(corpus, finished, tmp_path):
    source = tmp_path / "equal" / "seed5"
    run_weigh(corpus, source=source, output=tmp_path / "first")
    source.mkdir(parents=True, exist_ok=True)
    (source / "record.json").write_text("[]")  # damaged, so that the run does not count as finished
    again = run_weigh(corpus, source=source, output=tmp_path / "second")
    assert again["losses_origin"] == "run in progress"
    assert again["weights"] == pytest.approx(expected_weights(finished), rel=1e-7)


def test_it_goes_on_from_where_the_whole_run_was_stopped(corpus, finished, tmp_path):
    source = tmp_path / "equal" / "seed5"
    plain = PretrainConfig.from_json(json.dumps(config())).to_plain()
    stopped = Pretraining(
        config=plain, corpus=corpus, features={}, output=source, code="c0de", device=torch.device("cpu")
    )
    stopped.build_trainer().run(epochs=1)
    before = stopped.state_file.steps_done()
    result = run_weigh(corpus, source=source, output=tmp_path / "mine")
    assert result["weights"] == pytest.approx(expected_weights(finished), rel=1e-7)
    assert 0 < before < stopped.state_file.steps_done(), "and the whole run goes on from there"


def test_nothing_is_left_beside_a_run_that_finished_meanwhile(corpus, finished, tmp_path, monkeypatch):
    source = tmp_path / "equal" / "seed5"
    answers = iter([None])
    monkeypatch.setattr(weigh, "_read_finished", lambda run, path: next(answers, "finished"))
    run_weigh(corpus, source=source, output=tmp_path / "mine")
    assert not list(source.parent.glob(".*"))


def test_a_run_of_other_code_is_not_used(corpus, finished, tmp_path, capsys):
    result = run_weigh(corpus, source=finished, output=tmp_path, code="other")
    assert result["losses_origin"] == "first epochs, trained by this job"
    assert capsys.readouterr().err.count("losses.csv is damaged, or of another run or an older plan") == 1


def test_without_validation_there_are_no_weights(corpus, tmp_path):
    with pytest.raises(UserError, match="validation_batches above 0"):
        run_weigh(corpus, source=tmp_path / "none", output=tmp_path / "mine", run=config(validation_batches=0))


def test_pretraining_uses_the_weights_and_records_them(corpus, finished, tmp_path):
    weights = run_weigh(corpus, source=finished, output=tmp_path)["weights"]
    chosen = config() | {"weighting": {"name": "reweighted", "options": {"epochs": EPOCHS}}}
    command = arguments(chosen, corpus=corpus, output=tmp_path / "seed5")
    pretrain.main([*command, "--weights", str(tmp_path / "weights.json")])
    losses = pd.read_csv(tmp_path / "seed5" / "losses.csv")
    assert losses.groupby("worker")["weight"].first().to_dict() == pytest.approx(weights, rel=1e-7)
    assert (tmp_path / "seed5" / "encoder.safetensors").read_bytes() != (finished / "encoder.safetensors").read_bytes()


def test_a_reweighted_run_without_weights_says_what_is_missing(corpus, tmp_path):
    chosen = config() | {"weighting": {"name": "reweighted", "options": {}}}
    with pytest.raises(UserError, match="needs --weights"):
        pretrain.main(arguments(chosen, corpus=corpus, output=tmp_path / "seed5"))


def test_weights_of_other_workers_are_refused(corpus, tmp_path):
    chosen = config() | {"weighting": {"name": "reweighted", "options": {}}}
    (tmp_path / "weights.json").write_text(json.dumps({"weights": {"chroma": 1.0}}))
    seal(tmp_path / "weights.json")
    command = arguments(chosen, corpus=corpus, output=tmp_path / "seed5")
    with pytest.raises(UserError, match="chroma"):
        pretrain.main([*command, "--weights", str(tmp_path / "weights.json")])


def test_the_record_names_what_it_was_made_of(corpus, finished, tmp_path):
    record = run_weigh(corpus, source=finished, output=tmp_path)
    assert record["epochs"] == EPOCHS
    assert record["config_digest"] == digest(record["config"])
    assert set(record["losses"]) == set(record["weights"])
