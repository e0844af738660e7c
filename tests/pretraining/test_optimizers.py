"""LARS takes the same steps as the official code, except where that code gives NaN."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests import golden
from workflow_scripts.configuration.recipe import Recipe
from workflow_scripts.pretraining import optimizers
from workflow_scripts.pretraining.optimizers import Lars


def test_five_steps_equal_the_official_code():
    case = golden.open_case("lars")
    network = nn.Sequential(nn.Linear(12, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 5)).train()
    case.load_into(network)
    optimizer = Lars(network.parameters(), rate=1.0, weight_decay=1e-4)
    parameters, errors = dict(network.named_parameters()), {}
    for step in range(1, 6):
        loss = (network(case.input("x")) - case.input("target")).square().mean()
        errors[f"loss_before_step{step}"] = case.scalar_error(f"loss_before_step{step}", loss.item())
        optimizer.zero_grad()
        loss.backward()
        if step == 1:
            errors |= {f"grad1:{key}": case.error(f"grad1:{key}", value.grad) for key, value in parameters.items()}
        optimizer.step()
        errors |= {f"after{step}:{key}": case.error(f"after{step}:{key}", value) for key, value in parameters.items()}
    assert len(errors) == 5 + 6 + 30
    assert max(errors.values()) <= 1, errors


def take_step(start: torch.Tensor, gradient: torch.Tensor, **options: float) -> torch.Tensor:
    parameter = nn.Parameter(start.clone())
    parameter.grad = gradient.clone()
    Lars([parameter], rate=0.5, **options).step()
    return parameter.detach()


def test_a_zero_tensor_stays_zero_as_in_the_official_code_unless_spared():
    zeros, gradient = torch.zeros(2), torch.tensor([1.0, -2.0])
    assert torch.equal(take_step(zeros, gradient, weight_decay=0.1), zeros)
    torch.testing.assert_close(take_step(zeros, gradient, skip_vectors=True), -0.5 * gradient)


@pytest.mark.parametrize("start", [[3.0, 4.0], [0.0, 0.0]])
@pytest.mark.parametrize("gradient", [0.0, 1e-38, 1e-23])
def test_a_gradient_for_which_the_official_code_gives_nan_has_no_effect(start, gradient):
    start = 1e19 * torch.tensor([start])  # so large that the factor overflows for a gradient of 1e-23
    assert torch.equal(take_step(start, torch.tensor([[gradient, 0.0]])), start)


def test_a_zero_gradient_leaves_only_the_decay():
    start = torch.tensor([[3.0, 4.0]])
    # the decayed gradient is 0.1 w, so |w| / |g| is 10
    torch.testing.assert_close(take_step(start, torch.zeros(1, 2), weight_decay=0.1), start * (1 - 0.5 * 0.001))


def test_vectors_can_be_excluded_from_decay_and_trust_ratio():
    start, gradient = torch.tensor([3.0, 4.0]), torch.tensor([0.6, 0.8])
    torch.testing.assert_close(take_step(start, gradient, skip_vectors=True, weight_decay=0.1), start - 0.5 * gradient)
    matrix, matrix_gradient = start[None], gradient[None]
    spared, not_spared = (
        take_step(matrix, matrix_gradient, skip_vectors=spare, weight_decay=0.1) for spare in (True, False)
    )
    torch.testing.assert_close(spared, not_spared)
    assert not torch.allclose(take_step(start, gradient), start - 0.5 * gradient)


def test_parameters_without_gradient_are_unchanged():
    parameter = nn.Parameter(torch.ones(2, 2))
    Lars([parameter], rate=1.0, weight_decay=1.0).step()
    assert torch.equal(parameter, torch.ones(2, 2))


def test_the_velocity_is_part_of_the_state():
    def update(parameter, optimizer):
        parameter.grad = torch.full_like(parameter, 0.5)
        optimizer.step()

    whole, first, second = (nn.Parameter(torch.ones(2, 2)) for _ in range(3))
    throughout, before = Lars([whole], rate=1.0), Lars([first], rate=1.0)
    for _ in range(3):
        update(whole, throughout)
    update(first, before)
    second.data.copy_(first)
    after = Lars([second], rate=7.0)
    after.load_state_dict(before.state_dict())
    for _ in range(2):
        update(second, after)
    assert torch.equal(second, whole)


@pytest.mark.parametrize(("name", "kind"), [("lars", Lars), ("adam", torch.optim.Adam)])
def test_the_recipe_determines_optimiser_rate_and_decay(name, kind):
    recipe = Recipe(
        epochs=1,
        batch=2,
        chunk_seconds=2,
        encoder_learning_rate=0.001,
        worker_learning_rate=0.001,
        schedule="poly",
        optimiser=name,
        weight_decay=1e-6,
    )
    optimizer = optimizers.build(recipe, [nn.Parameter(torch.ones(2))], rate=0.25)
    assert isinstance(optimizer, kind)
    assert {key: optimizer.param_groups[0][key] for key in ("lr", "weight_decay")} == {"lr": 0.25, "weight_decay": 1e-6}
