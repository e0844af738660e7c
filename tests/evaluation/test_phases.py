"""Phases of training: each starts from the best weights so far, with a fresh optimiser and patience."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.corpora import write_corpus
from tests.scenarios.cells import cell, informative, shuffle_labels
from tests.scenarios.maps import maps_cell
from workflow_scripts.configuration.protocol import EvaluationProtocol, Phase
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import parse
from workflow_scripts.evaluation import end_to_end
from workflow_scripts.networks import eager_optimizers
from workflow_scripts.scenarios import frozen, supervised

NUMBERS = {"learning_rate": 0.02, "batch": 16, "max_epochs": 12, "patience": 2}
ADAM, SGD = Phase(optimiser="adam", learning_rate=0.02), Phase(optimiser="sgd", learning_rate=0.01)


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path / "tones", clips=40, seconds=0.3, classes=2)


@pytest.fixture
def steps(monkeypatch):
    """Optimiser, learning rate and initial weights of every epoch."""
    epochs = []
    real = end_to_end.TrialModel.train_epoch

    def recorded(model, optimizer, rows, *, epoch):
        before = {name: value.clone() for name, value in model.state_dict().items()}
        real(model, optimizer, rows, epoch=epoch)
        epochs.append((type(optimizer).__name__, optimizer.param_groups[0]["lr"], epoch, before))

    monkeypatch.setattr(end_to_end.TrialModel, "train_epoch", recorded)
    return epochs


def run(corpus, folder, **numbers):
    return supervised.run(maps_cell(corpus, folder=folder, trials=1, **(NUMBERS | numbers)))[0]


def test_training_without_phases_equals_one_phase_of_adam(corpus, tmp_path):
    plain, phased = run(corpus, tmp_path / "a"), run(corpus, tmp_path / "b", phases=(ADAM,))
    assert plain.epochs == phased.epochs
    assert np.array_equal(plain.scores, phased.scores)


def test_a_phase_starts_when_patience_ends_from_the_best_weights(corpus, tmp_path, steps):
    result = run(shuffle_labels(corpus), tmp_path / "a", phases=(ADAM, SGD), max_epochs=60)
    kinds = [kind for kind, *_ in steps]
    first = kinds.count("Adam")
    assert kinds == ["Adam"] * first + ["SGD"] * (len(kinds) - first)
    assert [rate for _, rate, *_ in steps] == [0.02] * first + [0.01] * (len(kinds) - first)
    assert [epoch for _, _, epoch, _ in steps] == list(range(result.epochs)), "crops and orders are never repeated"
    assert first >= 3
    assert len(kinds) - first >= 2
    best = steps[first - 2][3]  # weights after the best epoch, two epochs of patience before the end
    torch.testing.assert_close(steps[first][3], best, rtol=0, atol=0)


def test_a_phase_may_have_a_limit_of_epochs_and_the_trial_has_one_for_all_phases(corpus, tmp_path, steps):
    short = Phase(optimiser="adam", learning_rate=0.001, max_epochs=2)
    assert run(corpus, tmp_path / "a", phases=(short, short, SGD), max_epochs=5, patience=9).epochs == 5
    assert [kind for kind, *_ in steps] == ["Adam"] * 4 + ["SGD"]


def test_sgd_has_neither_momentum_nor_decay(corpus, tmp_path, monkeypatch):
    optimizers = []
    real = eager_optimizers.SGD

    def recorded(*args, **options):
        optimizers.append(real(*args, **options))
        return optimizers[-1]

    monkeypatch.setattr(eager_optimizers, "SGD", recorded)
    run(corpus, tmp_path, phases=(SGD,), max_epochs=1)
    group = optimizers[0].param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"], group["nesterov"]) == (0.01, 0, 0, False)


def test_settings_are_read_with_the_phases_of_a_config():
    given = {"phases": [{"optimiser": "adam", "learning_rate": 0.0001}, {"optimiser": "sgd", "learning_rate": 0.001}]}
    first, second = parse(EvaluationProtocol, given, where="training").phases
    assert (first.optimiser, first.learning_rate, first.max_epochs) == ("adam", 0.0001, None)
    assert second.optimiser == "sgd"
    assert parse(EvaluationProtocol, {}, where="training") == EvaluationProtocol()


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        (
            {"optimiser": "lars", "learning_rate": 1.0},
            r"phases.0.optimiser: 'lars' is not allowed; allowed: adam, sgd",
        ),
        (
            {"optimiser": "sgd", "learning_rate": 0.0},
            r"phases.0.learning_rate: 0.0 is not allowed; allowed: above 0",
        ),
        (
            {"optimiser": "sgd", "learning_rate": 0.1, "max_epochs": 0},
            r"phases.0.max_epochs: 0 is not allowed; allowed: at least 1",
        ),
        (
            {"optimiser": "sgd", "rate": 0.1},
            r"phases.0: unknown key 'rate'.*; allowed: encoder_learning_rate, learning_rate, max_epochs",
        ),
        ({"optimiser": "sgd"}, "training: phases.0: 'learning_rate' is missing"),
    ],
)
def test_errors_name_the_wrong_key_of_a_phase(phase, message):
    with pytest.raises(UserError, match=message):
        parse(EvaluationProtocol, {"phases": [phase]}, where="training")


def test_phases_are_refused_for_heads_on_frozen_embeddings(corpus, tmp_path):
    given = cell(corpus, folder=tmp_path, embeddings=informative(corpus), phases=(SGD,))
    with pytest.raises(UserError, match="phases are for scenarios that train the encoder"):
        frozen.run(given)
