"""Learning rate schedules of recipes, and recipes that are refused."""

from __future__ import annotations

import pytest
import torch

from workflow_scripts.configuration.recipe import Recipe
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import parse
from workflow_scripts.pretraining.device import autocast_type, cpu_has_bf16, should_compile

#: numbers that every recipe must state
STATED = {
    "epochs": 20,
    "batch": 32,
    "chunk_seconds": 2.0,
    "encoder_learning_rate": 0.001,
    "worker_learning_rate": 0.0005,
    "schedule": "poly",
}


def recipe_with(**numbers):
    return parse(Recipe, STATED | numbers, where="recipe")


def test_the_poly_schedule_falls_from_one_towards_zero():
    recipe = recipe_with(epochs=10)
    factors = [recipe.rate_factor(step, steps_per_epoch=10) for step in range(100)]
    assert factors[0] == 1
    assert factors[50] == pytest.approx(0.5**0.9)
    assert factors[-1] == pytest.approx(0.01**0.9)
    assert factors == sorted(factors, reverse=True)


def test_the_step_schedule_falls_to_a_tenth_every_thirty_epochs():
    recipe = recipe_with(epochs=100, schedule="step")
    assert [recipe.rate_factor(epoch * 7, steps_per_epoch=7) for epoch in (0, 29, 30, 60)] == pytest.approx(
        [1, 1, 0.1, 0.01]
    )
    assert recipe.rate_factor(30 * 7 - 1, steps_per_epoch=7) == 1


def test_the_staircase_schedule_counts_steps_and_not_epochs():
    recipe = recipe_with(epochs=20, schedule="staircase", schedule_factor=0.9)
    steps = (0, 14_999, 15_000, 29_999, 30_000, 299_999)
    factors = [recipe.rate_factor(step, steps_per_epoch=15_000) for step in steps]
    assert factors == pytest.approx([1, 1, 0.9, 0.9, 0.81, 0.9**19])
    assert recipe.rate_factor(15_000, steps_per_epoch=7) == pytest.approx(0.9)


def test_the_constant_schedule_stays_at_one():
    assert recipe_with(schedule="constant").rate_factor(10**6, steps_per_epoch=1) == 1


def test_the_cosine_schedule_falls_from_one_to_zero_after_the_warm_up():
    recipe = recipe_with(epochs=8, schedule="cosine", warmup_epochs=3)
    factors = [recipe.rate_factor(step, steps_per_epoch=4) for step in range(32)]
    assert factors[:12] == pytest.approx([(step + 1) / 12 for step in range(12)])
    assert factors[12] == 1
    assert factors[22] == pytest.approx(0.5)
    assert factors[12:] == sorted(factors[12:], reverse=True)
    assert 0 < factors[-1] < 0.01


@pytest.mark.parametrize("schedule", ["poly", "step", "constant"])
def test_a_warm_up_delays_every_schedule(schedule):
    numbers = {"schedule": schedule, "schedule_epochs": 1}
    plain, delayed = recipe_with(epochs=4, **numbers), recipe_with(epochs=6, warmup_epochs=2, **numbers)
    for step in range(20):
        assert delayed.rate_factor(step + 10, steps_per_epoch=5) == plain.rate_factor(step, steps_per_epoch=5)


def test_the_batch_size_determines_the_optimiser_and_its_rate():
    numbers = {"optimiser": "auto", "encoder_learning_rate": 3e-4, "worker_learning_rate": 2e-4}
    small, large = recipe_with(batch=95, **numbers), recipe_with(batch=96, **numbers)
    assert (small.chosen_optimiser, large.chosen_optimiser) == ("adam", "lars")
    assert [small.learning_rate(encoder=encoder) for encoder in (True, False)] == [3e-4, 2e-4]
    # equation 5.1 of the thesis
    assert [large.learning_rate(encoder=encoder) for encoder in (True, False)] == pytest.approx(
        [0.7348, 0.7348], abs=1e-4
    )
    assert recipe_with(batch=456, **numbers).learning_rate(encoder=True) == pytest.approx(1.6016, abs=1e-4)
    assert recipe_with(batch=8, optimiser="lars").chosen_optimiser == "lars"


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"steps_per_epoch": 0},
        {"batch": 1},
        {"chunk_seconds": 0},
        {"encoder_learning_rate": -1},
        {"worker_learning_rate": 1e38},  # with it torch would end in a traceback
        {"adam_epsilon": 1e300},
        {"validation_batches": -1},
        {"schedule": "linear"},
        {"optimiser": "sgd"},
        {"weight_decay": -1e-6},
        {"warmup_epochs": -1},
        {"warmup_epochs": 20},
        {"precision": "fp8"},
        {"accumulate": 0},
        {"accumulate": 3},
        {"accumulate": 32},
        {"compile": "always"},
    ],
)
def test_impossible_numbers_are_refused(bad):
    with pytest.raises(UserError, match="recipe: .*" + next(iter(bad))[:8]):
        recipe_with(**bad)


@pytest.mark.parametrize("key", STATED)
def test_numbers_without_a_default_must_be_stated(key):
    with pytest.raises(UserError, match=f"recipe: '{key}' is missing"):
        parse(Recipe, {name: number for name, number in STATED.items() if name != key}, where="recipe")


def test_a_batch_can_be_computed_in_parts_of_two_or_more():
    assert recipe_with(batch=32, accumulate=16).accumulate == 16


def test_only_gpus_compile_by_default():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert [should_compile(choice, cpu) for choice in ("auto", True, False)] == [False, True, False]
    assert [should_compile(choice, gpu) for choice in ("auto", True, False)] == [True, True, False]


@pytest.mark.parametrize(
    ("capabilities", "has_bf16"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"avx512_bf16": False, "avx512_f": True}, False),
        ({}, False),
    ],
)
def test_a_cpu_uses_bf16_only_on_request(monkeypatch, capabilities, has_bf16):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    cpu = torch.device("cpu")
    assert cpu_has_bf16() == has_bf16
    assert autocast_type("auto", cpu) is None
    assert autocast_type("float32", cpu) is None
    assert autocast_type("bf16", cpu) is torch.bfloat16


def test_a_split_is_not_trained_on_and_validated_on():
    assert recipe_with(validation_batches=0, with_validation=True).training_splits == ("train", "valid")
    assert recipe_with().training_splits == ("train",)
    with pytest.raises(UserError, match="with_validation trains on the validation split: set validation_batches to 0"):
        recipe_with(with_validation=True)
