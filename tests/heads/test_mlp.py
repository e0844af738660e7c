import numpy as np
import pytest
import torch
from torch.nn import functional as F

from workflow_scripts.configuration.protocol import EvaluationProtocol
from workflow_scripts.core.errors import UserError
from workflow_scripts.evaluation.crops import Crops
from workflow_scripts.evaluation.label_subsets import LabelSubset
from workflow_scripts.evaluation.stacked_heads import LabelledEmbeddings, compute_logits, train_heads
from workflow_scripts.evaluation.trial_heads import TrialHead, initial_parameters
from workflow_scripts.heads import mlp
from workflow_scripts.levels import registry


def head(inputs=6, outputs=4, hidden=5):
    return mlp.build(mlp.Options(hidden=hidden), inputs=inputs, outputs=outputs)


def test_equals_two_linear_layers_with_relu_per_trial():
    values = initial_parameters(head(), range(3))
    inputs = torch.randn(3, 7, 6)
    logits = head().apply(values, inputs)
    assert logits.shape == (3, 7, 4)
    for trial in range(3):
        own = {name: value[trial] for name, value in values.items()}
        hidden = F.linear(inputs[trial], own["hidden_weight"].T, own["hidden_bias"][0]).relu()
        torch.testing.assert_close(logits[trial], F.linear(hidden, own["weight"].T, own["bias"][0]))


def test_the_hidden_layer_has_512_units_by_default():
    values = initial_parameters(mlp.build(mlp.Options(), inputs=512, outputs=50), [0])
    assert {name: tuple(value.shape) for name, value in values.items()} == {
        "hidden_weight": (1, 512, 512),
        "hidden_bias": (1, 1, 512),
        "weight": (1, 512, 50),
        "bias": (1, 1, 50),
    }
    assert values["weight"].abs().max() <= 512**-0.5


def test_first_values_are_those_of_the_trial_whatever_the_stack():
    stack, alone = initial_parameters(head(), [0, 1, 2]), initial_parameters(head(), [1])
    for name, value in alone.items():
        assert torch.equal(value[0], stack[name][1])
        assert not torch.equal(value[0], stack[name][2])


def test_one_head_starts_as_the_same_trial_of_the_stack():
    inputs = torch.randn(5, 6)
    expected = head().apply(initial_parameters(head(), [2]), inputs[None])[0]
    assert torch.equal(TrialHead(head(), trial=2)(inputs), expected)


def test_learns_what_no_line_separates_and_trials_do_not_mix():
    generator = np.random.default_rng(0)
    points = generator.uniform(-1, 1, (400, 2)).astype(np.float32)
    labels = np.eye(2, dtype=np.float32)[(points.prod(axis=1) > 0).astype(int)]  # exclusive or
    data = LabelledEmbeddings(
        embeddings=torch.from_numpy(points),
        labels=torch.from_numpy(labels),
        task="multiclass",
        crops=Crops.from_lengths(np.ones(400), None),
    )
    settings = EvaluationProtocol(learning_rate=0.03, batch=32, max_epochs=40)
    train, valid, test = np.split(np.arange(400), [200, 300])

    def logits(numbers):
        built = head(inputs=2, outputs=2, hidden=16)
        fitted = train_heads(
            built, data, trials=numbers, train=[LabelSubset(train)] * len(numbers), valid=valid, settings=settings
        )
        return compute_logits(built, fitted.parameters, data, clips=test, indices=range(len(numbers)))

    stack, alone = logits([0, 1]), logits([1])
    assert (stack[1].argmax(1).numpy() == labels[test].argmax(1)).mean() > 0.9
    torch.testing.assert_close(stack[1], alone[0], atol=1e-4, rtol=0)


def test_a_head_without_units_is_refused():
    with pytest.raises(UserError, match=r"options of mlp: hidden: 0 is not allowed; allowed: at least 1"):
        registry.options(mlp, {"hidden": 0})
