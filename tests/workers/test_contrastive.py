"""NT-Xent gives the official code's numbers, for one process and for several."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from tests import golden, processes
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels import registry
from workflow_scripts.networks.interfaces import Batch
from workflow_scripts.pretraining import distributed
from workflow_scripts.workers import contrastive
from workflow_scripts.workers._contrastive import ContrastiveWorker, nt_xent
from workflow_scripts.workers.contrastive import Options


def test_loss_and_gradients_equal_the_official_code():
    case = golden.open_case("ntxent_tau05")
    first = case.input("z_i")
    second = first + torch.tensor(0.7) * case.input("z_j")
    assert torch.equal(second, torch.from_numpy(case.arrays["z_j_used"]))
    first, second = first.requires_grad_(), second.requires_grad_()
    loss = nt_xent(first, second, temperature=0.5)
    loss.backward()
    assert case.scalar_error("loss", float(loss.detach())) <= 1
    assert case.error("grad_z_i", first.grad) <= 1
    assert case.error("grad_z_j", second.grad) <= 1


@settings(deadline=None, max_examples=25)
@given(
    clips=st.integers(1, 6),
    size=st.integers(1, 5),
    temperature=st.floats(0.05, 2),
    scale=st.floats(0.1, 100),
    seed=st.integers(0, 1000),
)
def test_the_loss_is_its_definition(clips, size, temperature, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    views = torch.randn(2, clips, size, generator=generator)
    every, total = functional.normalize(views.flatten(0, 1), dim=-1).double(), 0.0
    for one in range(2 * clips):
        scores = {other: float(every[one] @ every[other]) / temperature for other in range(2 * clips) if other != one}
        partner = scores[(one + clips) % (2 * clips)]
        total -= partner - math.log(sum(math.exp(score) for score in scores.values()))
    result = nt_xent(*(scale * views), temperature=temperature)  # sizes do not count
    torch.testing.assert_close(result.double(), torch.tensor(total / (2 * clips)).double(), rtol=1e-4, atol=1e-4)


def worker(**options) -> ContrastiveWorker:
    torch.manual_seed(0)
    return contrastive.build(Options(**options), embedding_size=6)


def batch(examples: int) -> Batch:
    audio = torch.zeros(examples, 10)
    return Batch(clean=audio, audio=audio, views=2)


@pytest.mark.parametrize(
    ("options", "shapes"),
    [
        ({}, {"projector.0.weight": (6, 6), "projector.2.weight": (128, 6)}),
        ({"size": 64}, {"projector.0.weight": (6, 6), "projector.2.weight": (64, 6)}),
        ({"projector": "linear", "size": 3}, {"projector.weight": (3, 6)}),
        ({"projector": "identity"}, {}),
    ],
)
def test_projectors(options, shapes):
    built = worker(**options)
    assert {key: tuple(value.shape) for key, value in built.state_dict().items()} == shapes
    frames = torch.randn(8, 6, 5)
    views = frames.mean(-1)
    if "projector.weight" in shapes:
        views = views @ built.projector.weight.T
    elif shapes:
        views = (views @ built.projector[0].weight.T).relu() @ built.projector[2].weight.T
    expected = nt_xent(views[:4], views[4:], temperature=0.5)
    torch.testing.assert_close(built.loss(frames, batch(8)), expected)


def test_the_published_projectors_have_the_measured_number_of_parameters():
    for size, expected in ((64, 294_912), (128, 327_680)):
        built = contrastive.build(Options(size=size), embedding_size=512)
        assert sum(parameter.numel() for parameter in built.parameters()) == expected


def test_alike_views_of_different_clips_have_a_lower_loss_than_strangers():
    views = torch.eye(6)[:4, :, None].expand(4, 6, 3)
    alike = worker(projector="identity").loss(torch.cat([views, views]), batch(8))
    strangers = worker(projector="identity").loss(torch.cat([views, views.flip(0)]), batch(8))
    assert alike < strangers


def test_a_batch_without_two_views_is_a_programming_error():
    audio = torch.zeros(4, 10)
    with pytest.raises(AssertionError, match="two views"):
        worker().loss(torch.randn(4, 6, 1), Batch(clean=audio, audio=audio))


def test_the_loss_is_float32_under_autocast():
    built, frames = worker(), torch.randn(8, 6, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = built.loss(frames, batch(8))
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, built.loss(frames, batch(8)), rtol=0.02, atol=0)


@pytest.mark.parametrize("bad", [{"projector": "cubic"}, {"size": 0}, {"temperature": 0.0}])
def test_impossible_options_are_refused(bad):
    with pytest.raises(UserError, match=next(iter(bad))):
        registry.options(contrastive, bad)


def given_views() -> torch.Tensor:
    return torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(1))


def loss_and_gradients(views: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss of the joint batch and its slope in the projector, from this process's clips (2, clips, 4)."""
    torch.manual_seed(0)
    built = contrastive.build(Options(size=3), embedding_size=4)
    loss = built.loss(views.flatten(0, 1)[..., None], batch(views.shape[1] * 2))
    loss.backward()
    distributed.average_gradients(built.parameters())
    return distributed.all_reduce_mean(loss.detach()), built.projector[0].weight.grad


def share(folder, size) -> None:
    with distributed.process_group(torch.device("cpu")):
        own = given_views().chunk(size, dim=1)[distributed.rank()]
        torch.save(loss_and_gradients(own), folder / f"{distributed.rank()}.pt")


@pytest.mark.parametrize("size", [2, 3, 6])
def test_processes_have_the_loss_and_gradients_of_the_joint_batch(tmp_path, size):
    group = processes.start_group(share, tmp_path, size, log=tmp_path / "log", size=size)
    assert processes.exit_codes(group) == [0] * size, (tmp_path / "log").read_text()
    expected = loss_and_gradients(given_views())
    for rank in range(size):
        result = torch.load(tmp_path / f"{rank}.pt")
        for value, wanted in zip(result, expected, strict=True):
            torch.testing.assert_close(value, wanted, rtol=1e-5, atol=1e-7)
