import numpy as np
import pytest
import torch
from torch.nn import functional as F

from workflow_scripts.evaluation.trial_heads import TrialHead, initial_parameters
from workflow_scripts.heads import linear


def head(inputs=6, outputs=4):
    return linear.build(linear.Options(), inputs=inputs, outputs=outputs)


def test_equals_a_linear_layer_per_trial():
    values = initial_parameters(head(), range(3))
    inputs = torch.randn(3, 5, 6)
    logits = head().apply(values, inputs)
    for trial in range(3):
        expected = F.linear(inputs[trial], values["weight"][trial].T, values["bias"][trial, 0])
        torch.testing.assert_close(logits[trial], expected)


def test_first_values_are_those_of_the_trial_whatever_the_stack_and_the_global_generator():
    stack = initial_parameters(head(), [0, 1, 2])
    torch.manual_seed(99)
    alone = initial_parameters(head(), [1])
    for name, value in alone.items():
        assert torch.equal(value[0], stack[name][1])
        assert not torch.equal(value[0], stack[name][2])


def test_first_values_have_the_bounds_of_torch():
    weight = initial_parameters(head(inputs=100, outputs=50), [0])["weight"]
    assert weight.dtype == torch.float32
    assert weight.abs().max() <= 0.1
    assert weight.std().item() == pytest.approx(0.1 / 3**0.5, rel=0.05)


def test_one_head_starts_as_the_same_trial_of_the_stack_and_its_values_learn():
    one = TrialHead(head(), trial=2)
    inputs = torch.randn(5, 6)
    assert torch.equal(one(inputs), head().apply(initial_parameters(head(), [2]), inputs[None])[0])
    one(inputs).sum().backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in one.parameters())
    assert {tuple(value.shape) for value in one.parameters()} == {(1, 6, 4), (1, 1, 4)}


def test_standardisation_is_an_option():
    assert head().standardise
    assert not linear.build(linear.Options(standardise=False), inputs=1, outputs=1).standardise
    assert np.isfinite(initial_parameters(head(inputs=1, outputs=1), [0])["weight"].numpy()).all()
