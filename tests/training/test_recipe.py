"""Learning rate schedules and impossible recipes."""

from __future__ import annotations

import pytest
import torch

from workflow_scripts.errors import UserError
from workflow_scripts.training.device import autocast_type, compiles
from workflow_scripts.training.recipe import Recipe


def test_poly_falls_from_one_towards_zero():
    recipe = Recipe(epochs=10)
    factors = [recipe.rate_factor(step, steps_per_epoch=10) for step in range(100)]
    assert factors[0] == 1
    assert factors[50] == pytest.approx(0.5**0.9)
    assert factors[-1] == pytest.approx(0.01**0.9)
    assert factors == sorted(factors, reverse=True)


def test_step_falls_to_a_tenth_every_thirty_epochs():
    recipe = Recipe(epochs=100, schedule="step")
    assert [recipe.rate_factor(epoch * 7, steps_per_epoch=7) for epoch in (0, 29, 30, 60)] == pytest.approx(
        [1, 1, 0.1, 0.01]
    )
    assert recipe.rate_factor(30 * 7 - 1, steps_per_epoch=7) == 1


def test_constant_stays():
    assert Recipe(schedule="constant").rate_factor(10**6, steps_per_epoch=1) == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"steps_per_epoch": 0},
        {"batch": 1},
        {"chunk_seconds": 0},
        {"encoder_learning_rate": -1},
        {"validation_batches": -1},
        {"schedule": "cosine"},
        {"precision": "fp8"},
        {"accumulate": 0},
        {"accumulate": 3},
        {"accumulate": 32},
        {"compile": "always"},
    ],
)
def test_impossible_numbers_are_refused(bad):
    with pytest.raises(UserError, match="recipe: .*" + next(iter(bad))[:8]):
        Recipe(**bad)


def test_a_batch_can_be_computed_in_parts_of_two_or_more():
    assert Recipe(batch=32, accumulate=16).accumulate == 16


def test_compiling_is_left_to_gpus_unless_asked():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert [compiles(choice, cpu) for choice in ("auto", True, False)] == [False, True, False]
    assert [compiles(choice, gpu) for choice in ("auto", True, False)] == [True, True, False]


def test_the_cpu_uses_bf16_only_when_asked():
    cpu = torch.device("cpu")
    assert autocast_type("auto", cpu) is None
    assert autocast_type("float32", cpu) is None
    assert autocast_type("bf16", cpu) is torch.bfloat16
