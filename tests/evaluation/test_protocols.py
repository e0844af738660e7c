"""Protocols of downstream training: candidates for the learning rate, criteria to stop by, rates of encoders."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from tests.corpora import write_corpus
from tests.evaluation.test_stacked_heads import CLASSES, SIZE, TEST, TRAIN, VALID, head, make_data
from tests.scenarios.cells import cell, informative, shuffle_labels, small_pase
from workflow_scripts.configuration.protocol import EvaluationProtocol
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import parse
from workflow_scripts.evaluation.early_stopping import EarlyStopping
from workflow_scripts.evaluation.label_subsets import LabelSubset
from workflow_scripts.evaluation.stacked_heads import LabelledEmbeddings, compute_logits, train_heads
from workflow_scripts.evaluation.trial_heads import initial_parameters
from workflow_scripts.evaluation.trial_seeds import shuffle_rows
from workflow_scripts.heads import mlp
from workflow_scripts.networks.linear_head import LinearHead
from workflow_scripts.scenarios import fine_tuned, frozen, supervised

RATES = (0.3, 0.03, 0.0003)
FAST = {"batch": 16, "max_epochs": 25, "patience": 3}


def assert_best_rate_is_taken(run, rates):
    """Trials that try all rates equal those that have the best of them alone."""
    tuned, single = run(learning_rates=rates), {rate: run(learning_rate=rate) for rate in rates}
    for trial, result in enumerate(tuned):
        losses = {rate: results[trial].validation_loss for rate, results in single.items()}
        assert result.learning_rate == min(rates, key=lambda rate: losses[rate])
        alone = single[result.learning_rate][trial]
        assert np.array_equal(result.scores, alone.scores)
        assert (result.epochs, result.validation_loss) == (alone.epochs, alone.validation_loss)


@pytest.mark.parametrize("more", [{"criterion": "scores"}, {"classifiers": "binary"}, {"weight_decay": 0.01}])
def test_a_trial_on_embeddings_takes_the_rate_of_the_lowest_validation_loss(tmp_path, more):
    corpus = write_corpus(tmp_path / "tones", clips=60, seconds=0.1, classes=3, task="multilabel")
    inputs = informative(corpus)
    assert_best_rate_is_taken(
        lambda **rates: frozen.run(cell(corpus, folder=tmp_path, embeddings=inputs, **(FAST | more | rates))), RATES
    )


@settings(deadline=None, max_examples=10)
@given(rates=st.lists(st.floats(1e-5, 1.0), min_size=1, max_size=4, unique=True), seed=st.integers(0, 99))
def test_any_candidates_leave_the_trials_of_each_as_they_are(rates, seed):
    data = make_data("multilabel" if seed % 2 else "multiclass", seed)

    def heads(**numbers):
        protocol = EvaluationProtocol(batch=16, max_epochs=6, patience=2, **numbers)
        return train_heads(head(), data, trials=[0, 1], train=[LabelSubset(TRAIN)] * 2, valid=VALID, settings=protocol)

    tuned, single = heads(learning_rates=tuple(rates)), {rate: heads(learning_rate=rate) for rate in rates}
    for trial in (0, 1):
        best = min(rates, key=lambda rate: single[rate].validation_losses[trial])
        assert tuned.learning_rates[trial] == best
        for name, value in tuned.parameters.items():
            assert torch.equal(value[trial], single[best].parameters[name][trial])


def test_a_trial_that_trains_the_encoder_takes_the_rate_of_the_lowest_validation_loss(tmp_path):
    corpus = write_corpus(tmp_path / "tones", clips=40, seconds=0.3, classes=2)
    numbers = {"batch": 8, "max_epochs": 2, "crop_seconds": 0.2, "trials": 1}
    folders = iter(range(9))
    assert_best_rate_is_taken(
        lambda **rates: supervised.run(cell(corpus, folder=tmp_path / str(next(folders)), **numbers, **rates)),
        (0.00001, 0.003),
    )


DIVERGING = 1e30  # weights so large that float32 holds no loss


def test_a_trial_on_embeddings_passes_over_a_rate_at_which_it_diverges(tmp_path):
    corpus = write_corpus(tmp_path / "tones", clips=60, seconds=0.1, classes=3)
    inputs = informative(corpus)

    def run(**rates):
        return frozen.run(cell(corpus, folder=tmp_path, embeddings=inputs, head=mlp, **FAST, **rates))

    for result, alone in zip(run(learning_rates=(DIVERGING, 0.03)), run(learning_rate=0.03), strict=True):
        assert result.learning_rate == 0.03
        assert np.array_equal(result.scores, alone.scores)
    with pytest.raises(UserError, match=r"trial \d: the validation loss is (nan|inf) after epoch"):
        run(learning_rates=(DIVERGING, DIVERGING / 2))


def test_a_trial_that_trains_the_encoder_passes_over_a_rate_at_which_it_diverges(tmp_path):
    corpus = write_corpus(tmp_path / "tones", clips=40, seconds=0.3, classes=2)
    numbers = {"batch": 8, "max_epochs": 1, "crop_seconds": 0.2, "trials": 1}
    (result,) = supervised.run(cell(corpus, folder=tmp_path / "a", learning_rates=(0.003, DIVERGING), **numbers))
    assert result.learning_rate == 0.003
    with pytest.raises(UserError, match=r"trial 0: the validation loss is (nan|inf) after epoch 1"):
        supervised.run(cell(corpus, folder=tmp_path / "b", learning_rates=(DIVERGING,), **numbers))


@pytest.mark.parametrize(
    ("scores", "epochs", "best"),
    [
        ([(0.5, 0.1)] + [(0.4, 0.1)] * 5, 4, 1),
        ([(0.5, 0.1), (0.4, 0.2), (0.4, 0.1), (0.3, 0.1), (0.5, 0.2), (0.6, 0.2)], 5, 2),  # the second score rose
        ([(0.5, 0.1), (0.6, 0.0), (0.5, 0.1), (0.5, 0.1), (0.5, 0.2), (0.5, 0.2), (0.6, 0.2), (0.6, 0.2)], 8, 5),
        ([(0.5, 0.5), (0.5, 0.5), (0.5, 0.5), (0.5, 0.5), (0.5, 0.5)], 4, 1),  # equal is no improvement
    ],
)
def test_scores_stop_a_trial_when_none_has_risen_for_three_epochs(scores, epochs, best):
    stopping = EarlyStopping(patience=3, trial=0)
    kept = 0
    for number, values in enumerate(scores, start=1):
        if stopping.should_stop:
            break
        if stopping.update(1.0 / number, values):  # a loss that always falls has no part in it
            kept = number
    assert (stopping.epochs, kept) == (epochs, best)
    assert stopping.kept_loss == 1.0 / best


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_a_trial_that_stops_by_scores_equals_a_plain_training_loop(task):
    data, trial = make_data(task, signal=0.4), 2
    initial = initial_parameters(head(), [trial])
    layer = torch.nn.Linear(SIZE, CLASSES)
    layer.weight.data, layer.bias.data = initial["weight"][0].T.clone(), initial["bias"][0, 0].clone()
    adam = torch.optim.Adam(layer.parameters(), lr=0.01, weight_decay=0.01)

    def scores():
        with torch.no_grad():
            logits = layer(data.embeddings[VALID])
        predicted = logits.softmax(1) if task == "multiclass" else logits.sigmoid()
        columns = [(true, score) for true, score in zip(data.labels[VALID].T, predicted.T, strict=True)]
        observed = [(true[~true.isnan()], score[~true.isnan()]) for true, score in columns]
        both = [(true, score) for true, score in observed if len(true.unique()) == 2]
        return [float(np.mean([area(*pair) for pair in both])) for area in (roc_auc_score, average_precision_score)]

    highest, waited, epochs, best = [0.0, 0.0], 0, 0, None
    while waited < 3 and epochs < 60:
        for rows in torch.from_numpy(shuffle_rows(TRAIN, trial=trial, epoch=epochs)).split(16):
            adam.zero_grad()
            logits, labels = layer(data.embeddings[rows]), data.labels[rows]
            if task == "multiclass":
                loss = torch.nn.functional.cross_entropy(logits, labels.argmax(1))
            else:
                seen = ~labels.isnan()
                loss = torch.nn.functional.binary_cross_entropy_with_logits(logits[seen], labels[seen])
            loss.backward()
            adam.step()
        epochs, waited, values = epochs + 1, waited + 1, scores()
        if any(value > before + 1e-9 for value, before in zip(values, highest, strict=True)):
            waited, best = 0, layer(data.embeddings[TEST]).detach()
        highest = [max(pair) for pair in zip(values, highest, strict=True)]
    numbers = {"learning_rate": 0.01, "weight_decay": 0.01, "batch": 16, "criterion": "scores", "patience": 3}
    protocol = EvaluationProtocol(max_epochs=60, **numbers)
    heads = train_heads(head(), data, trials=[trial], train=[LabelSubset(TRAIN)], valid=VALID, settings=protocol)
    assert heads.epochs == [epochs]
    assert epochs < 60, "the test needs a trial that stops"
    logits = compute_logits(head(), heads.parameters, data, clips=TEST, indices=[0])
    torch.testing.assert_close(logits[0], best, atol=1e-5, rtol=0)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_without_classes_to_score_the_criterion_is_refused_in_one_line(task, tmp_path):
    corpus = shuffle_labels(write_corpus(tmp_path / "tones", clips=60, seconds=0.1, classes=3, task=task))
    corpus.labels[corpus.rows("valid")] = np.eye(3, dtype=np.float32)[0]
    given = cell(corpus, folder=tmp_path, embeddings=informative(corpus), criterion="scores", **FAST)
    with pytest.raises(UserError, match=r"trial 0: no class has validation clips with .*: set criterion: loss"):
        frozen.run(given)


class OneClass(LinearHead):
    """A linear head for one class, whose initial values are those of that class among all."""

    def __init__(self, number: int) -> None:
        super().__init__(inputs=SIZE, outputs=CLASSES, standardise=True)
        self.number = slice(number, number + 1)

    def initial(self, generators):
        return {name: value[..., self.number] for name, value in super().initial(generators).items()}


def test_binary_classifiers_equal_single_ones_that_are_trained_alone():
    data, trials = make_data("multilabel", signal=0.7), range(4)
    numbers = {"batch": 16, "max_epochs": 60, "patience": 4, "classifiers": "binary", "learning_rate": 0.03}
    train = [LabelSubset(TRAIN)] * len(trials)

    def train_and_test(stack_head, given, **changes):
        protocol = EvaluationProtocol(**(numbers | changes))
        heads = train_heads(stack_head, given, trials=trials, train=train, valid=VALID, settings=protocol)
        return heads, compute_logits(stack_head, heads.parameters, given, clips=TEST, indices=trials)

    together, logits = train_and_test(head(), data)
    epochs = []
    for number in range(CLASSES):
        labels = data.labels[:, number : number + 1]
        alone = LabelledEmbeddings(embeddings=data.embeddings, labels=labels, task="multilabel", crops=data.crops)
        single, its_logits = train_and_test(OneClass(number), alone, classifiers="joint")
        epochs.append(single.epochs)
        for trial in trials:
            torch.testing.assert_close(logits[trial][:, number], its_logits[trial][:, 0], atol=1e-5, rtol=0)
    assert together.epochs == [max(of_trial) for of_trial in zip(*epochs, strict=True)]
    assert any(len(set(of_trial)) > 1 for of_trial in zip(*epochs, strict=True)), "the test needs classes that differ"


def test_one_class_a_clip_is_one_classifier(tmp_path):
    corpus = write_corpus(tmp_path / "tones", clips=60, seconds=0.1, classes=3)
    joint, binary = (
        frozen.run(cell(corpus, folder=tmp_path, embeddings=informative(corpus), classifiers=kind, **FAST))
        for kind in ("joint", "binary")
    )
    assert all(np.array_equal(one.scores, other.scores) for one, other in zip(joint, binary, strict=True))


def test_a_pre_trained_encoder_may_learn_at_a_rate_of_its_own(tmp_path):
    corpus = write_corpus(tmp_path / "tones", clips=40, seconds=0.3, classes=2)
    numbers = {"learning_rate": 0.01, "batch": 8, "max_epochs": 1, "crop_seconds": 0.2, "trials": 1}
    built = []

    def build(seed):
        encoder = small_pase(seed)
        built.append((encoder, {name: value.detach().clone() for name, value in encoder.named_parameters()}))
        return encoder

    def train(**more):
        """Return how far the encoder's parameters have moved, and the scores."""
        (result,) = fine_tuned.run(cell(corpus, folder=tmp_path / str(more), build_encoder=build, **numbers, **more))
        encoder, before = built[-1]
        return max(float((value - before[name]).abs().max()) for name, value in encoder.named_parameters()), result

    (slow, held), (fast, free) = train(encoder_learning_rate=1e-9), train()
    assert slow < 1e-6
    assert fast > 1e-3
    assert not np.array_equal(held.scores, free.scores)
    _, same = train(encoder_learning_rate=0.01)
    assert np.array_equal(same.scores, free.scores), "without one the encoder learns at the rate of the head"


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"learning_rates": [0.1, 0.1]}, "learning_rates: .*twice"),
        ({"learning_rates": [0.1, 0.0]}, r"learning_rates.1: 0.0 is not allowed; allowed: above 0"),
        ({"criterion": "accuracy"}, "criterion: 'accuracy' is not allowed; allowed: loss, scores"),
        ({"weight_decay": -1.0}, "weight_decay: -1.0 is not allowed; allowed: at least 0"),
        ({"classifiers": "binary", "criterion": "scores"}, "binary classifiers stop by their losses"),
        (
            {"learning_rates": [0.1, 0.2], "phases": [{"optimiser": "adam", "learning_rate": 0.1}]},
            r"phases have learning rates of their own: set learning_rates: \[\]",
        ),
        (
            {"encoder_learning_rate": 0.1, "phases": [{"optimiser": "adam", "learning_rate": 0.1}]},
            "phases have learning rates of their own: set encoder_learning_rate in each phase, and here to null",
        ),
    ],
)
def test_numbers_that_make_no_protocol_are_one_line(numbers, message):
    with pytest.raises(UserError, match=message):
        parse(EvaluationProtocol, numbers, where="training")
