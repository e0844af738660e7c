"""Heads trained in a stack equal heads trained alone and a plain training loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scripts.configuration.protocol import EvaluationProtocol
from workflow_scripts.core.errors import UserError
from workflow_scripts.evaluation.crops import Crops
from workflow_scripts.evaluation.label_subsets import LabelSubset
from workflow_scripts.evaluation.losses import downstream_loss, probabilities
from workflow_scripts.evaluation.stacked_heads import LabelledEmbeddings, compute_logits, train_heads
from workflow_scripts.evaluation.trial_heads import initial_parameters
from workflow_scripts.evaluation.trial_seeds import shuffle_rows
from workflow_scripts.heads import linear

CLIPS, SIZE, CLASSES = 90, 12, 3
TRAIN, VALID, TEST = np.arange(60), np.arange(60, 75), np.arange(75, 90)


def make_data(task, seed=0, signal=1.0):
    rng = np.random.default_rng(seed)
    labels = np.eye(CLASSES, dtype=np.float32)[rng.integers(CLASSES, size=CLIPS)]
    inputs = rng.standard_normal((CLIPS, SIZE)).astype(np.float32)
    inputs[:, :CLASSES] += signal * labels
    if task == "multilabel":
        labels[rng.random(labels.shape) < 0.4] = np.nan
    single = Crops.from_lengths(np.ones(CLIPS), None)
    return LabelledEmbeddings(
        embeddings=torch.from_numpy(inputs), labels=torch.from_numpy(labels), task=task, crops=single
    )


def head():
    return linear.build(linear.Options(), inputs=SIZE, outputs=CLASSES)


def subset(trial):
    return np.sort(np.random.default_rng(trial).permutation(TRAIN)[:40])


def fit(data, trials, **changes):
    protocol = EvaluationProtocol(**({"learning_rate": 0.03, "batch": 16, "max_epochs": 60} | changes))
    heads = train_heads(
        head(),
        data,
        trials=trials,
        train=[LabelSubset(subset(trial)) for trial in trials],
        valid=VALID,
        settings=protocol,
    )
    return heads, compute_logits(head(), heads.parameters, data, clips=TEST, indices=range(len(trials)))


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_a_trial_in_a_stack_of_ten_equals_the_same_trial_alone(task):
    data = make_data(task)
    stack, logits = fit(data, range(10))
    assert len(set(stack.epochs)) > 1, "the test needs trials that stop at different epochs"
    for trial in range(10):
        alone, alone_logits = fit(data, [trial])
        assert alone.epochs == [stack.epochs[trial]]
        np.testing.assert_array_equal(alone.validation[0], stack.validation[trial])
        assert torch.equal(alone_logits[0], logits[trial])


@given(seed=st.integers(0, 10**6), batch=st.integers(1, 64), patience=st.integers(1, 4), trial=st.integers(0, 3))
@settings(deadline=None, max_examples=15)
def test_stack_and_single_trial_agree_for_any_settings(seed, batch, patience, trial):
    data = make_data("multilabel" if seed % 2 else "multiclass", seed)
    numbers = {"batch": batch, "patience": patience, "max_epochs": 12}
    stack, logits = fit(data, range(4), **numbers)
    alone, alone_logits = fit(data, [trial], **numbers)
    assert alone.epochs == [stack.epochs[trial]]
    torch.testing.assert_close(alone_logits[0], logits[trial], atol=1e-6, rtol=0)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_every_crop_of_a_clip_is_used_in_training_and_in_scoring(task):
    """The first crop of a clip is silent, the second shows the class: the second must be used, and count half."""
    data = make_data(task, signal=6.0)
    crops = torch.stack([torch.zeros_like(data.embeddings), data.embeddings], dim=1).flatten(0, 1)
    data = LabelledEmbeddings(
        embeddings=crops, labels=data.labels, task=task, crops=Crops.from_lengths(np.full(CLIPS, 2), 1)
    )
    heads, logits = fit(data, range(2))
    by_crop = [
        head().apply({n: v[:1] for n, v in heads.parameters.items()}, crops[None, place::2])[0] for place in (0, 1)
    ]
    expected = torch.stack([probabilities(task, crop_logits[TEST]) for crop_logits in by_crop]).mean(0)
    torch.testing.assert_close(probabilities(task, logits[0]), expected)
    truth = make_data("multiclass", signal=6.0).labels[TEST].argmax(1)
    assert (logits[0].argmax(1) == truth).float().mean() > 0.8


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_a_trial_equals_a_plain_training_loop(task):
    """An independent implementation: nn.Linear, torch's own losses, explicit patience."""
    data, trial = make_data(task), 3
    initial = initial_parameters(head(), [trial])
    layer = torch.nn.Linear(SIZE, CLASSES)
    layer.weight.data, layer.bias.data = initial["weight"][0].T.clone(), initial["bias"][0, 0].clone()
    adam = torch.optim.Adam(layer.parameters(), lr=0.03)

    def loss(rows):
        logits, labels = layer(data.embeddings[rows]), data.labels[rows]
        if task == "multiclass":
            return torch.nn.functional.cross_entropy(logits, labels.argmax(1))
        observed = ~labels.isnan()
        return torch.nn.functional.binary_cross_entropy_with_logits(logits[observed], labels[observed])

    lowest, best, waited, epochs = float("inf"), None, 0, 0
    while waited < 10 and epochs < 60:
        shuffled = shuffle_rows(subset(trial), trial=trial, epoch=epochs)
        for rows in torch.from_numpy(shuffled).split(16):
            adam.zero_grad()
            loss(rows).backward()
            adam.step()
        epochs += 1
        with torch.no_grad():
            value, waited = loss(VALID).item(), waited + 1
            if value < lowest:
                lowest, waited, best = value, 0, layer(data.embeddings[TEST])
    heads, logits = fit(data, [trial])
    assert heads.epochs == [epochs]
    torch.testing.assert_close(logits[0], best, atol=1e-5, rtol=0)


def test_the_parameters_of_the_best_epoch_are_returned():
    data = make_data("multiclass", signal=0.0)  # nothing to learn: the validation loss rises during training
    long_run, _ = fit(data, [0], patience=10)
    best_epoch = long_run.epochs[0] - 10
    short_run, _ = fit(data, [0], max_epochs=best_epoch)
    assert 0 < best_epoch < 50
    for name, value in long_run.parameters.items():
        assert torch.equal(value, short_run.parameters[name])


def test_the_error_for_a_loss_that_is_not_finite_names_the_trial():
    data = make_data("multiclass")
    data.embeddings[VALID[0]] = float("nan")
    with pytest.raises(UserError, match=r"trial 4: the validation loss is nan after epoch 1: lower"):
        fit(data, [4])


def test_unobserved_labels_are_ignored_in_the_loss():
    logits = torch.randn(2, 5, 3)
    labels = torch.full((2, 5, 3), float("nan"))
    labels[0, 1, 2] = 1.0
    loss = downstream_loss("multilabel", logits, labels)
    assert loss[0].item() == pytest.approx(-torch.nn.functional.logsigmoid(logits[0, 1, 2]).item(), rel=1e-6)
    assert loss[1].item() == 0.0
