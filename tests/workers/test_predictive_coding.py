"""InfoNCE beyond the golden case: its definition, what it refuses, and several processes."""

from __future__ import annotations

import pytest
import torch

from tests import processes
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import cpc, pase
from workflow_scripts.levels import registry
from workflow_scripts.networks.interfaces import Batch
from workflow_scripts.pretraining import distributed
from workflow_scripts.workers import predictive_coding
from workflow_scripts.workers._predictive_coding import Draws, PredictiveCodingWorker
from workflow_scripts.workers.predictive_coding import Options

SMALL = {"steps": 3, "negatives": 4, "window": 7, "context": 2}
LATENT = 5


def worker(**options) -> PredictiveCodingWorker:
    torch.manual_seed(0)
    return predictive_coding.build(Options(**SMALL | options), embedding_size=LATENT + 2)


def parts(examples: int = 3, frames: int = 10) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (torch.randn(examples, frames, size, generator=generator) for size in (LATENT, 2))


def batch() -> Batch:
    return Batch(clean=torch.zeros(3, 10), audio=torch.zeros(3, 10))


def test_the_loss_is_its_definition():
    """One score after the other, as the thesis's equation and the code's order of negatives say."""
    built, (latent, context) = worker(), parts()
    draws = Draws(orders=torch.stack([torch.randperm(30) for _ in range(4)]), first=2)
    flat, losses = latent.flatten(0, 1), []
    for step in (1, 2, 3):
        weight = built.predictor.weight[(step - 1) * LATENT : step * LATENT]
        rows = [(example, frame) for example in range(3) for frame in range(2, 9 - step)]
        for number, (example, frame) in enumerate(rows):
            predicted = weight @ context[example, frame]
            right = predicted @ latent[example, frame + step]
            others = [predicted @ flat[order[30 - len(rows) + number]] for order in draws.orders]
            loss = torch.stack([right, *others]).logsumexp(0) - right
            losses.append(loss / len(rows) / 3)
    torch.testing.assert_close(built.info_nce(latent, context, draws), torch.stack(losses).sum())


def test_a_step_draws_from_torch_and_nothing_else():
    built, (latent, context) = worker(), parts()
    frames = torch.cat([latent, context], dim=-1).transpose(1, 2)
    losses = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        losses.append(built.loss(frames, batch()))
    assert losses[0] == losses[1] != losses[2]


def test_every_window_but_the_last_comes_up():
    built, (latent, _) = worker(), parts()
    draws = [built._draw(latent) for _ in range(60)]
    assert {draw.first for draw in draws} == {0, 1, 2}
    assert all(sorted(order.tolist()) == list(range(30)) for draw in draws for order in draw.orders)
    assert {built._draw(latent[:, :7]).first for _ in range(9)} == {0}


def test_a_predictable_sequence_is_learned():
    """The frame after next repeats the frame, and the context knows it: the loss falls far below chance."""
    built = worker(steps=2)
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(8, 1, LATENT, generator=generator).expand(8, 10, LATENT)
    context = latent[..., :2]
    optimiser = torch.optim.Adam(built.parameters(), lr=0.1)
    frames = torch.cat([latent, context], dim=-1).transpose(1, 2)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = built.loss(frames, batch())
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    # an eighth of the negatives are of the same example and as right
    assert losses[-1] < 0.6 * losses[0]


def test_frames_of_any_encoder_can_get_a_context_of_their_own():
    built = worker(own_context=True)
    assert built.predictor.weight.shape == (3 * (LATENT + 2), 2)
    built.check(pase.build(pase.Options(embedding=8, width=0.05)))
    frames = torch.randn(3, LATENT + 2, 10, requires_grad=True)
    built.loss(frames, batch()).backward()
    assert frames.grad.abs().sum() > 0
    assert all(parameter.grad.abs().sum() > 0 for parameter in built.autoregressor.parameters())


def test_the_context_must_be_the_encoders():
    narrow = cpc.build(cpc.Options(width=0.02))  # a context of 5
    worker(context=5).check(narrow)
    with pytest.raises(UserError, match="expects a context of 2 and the encoder has one of 5: set context to that"):
        worker().check(narrow)
    with pytest.raises(UserError, match=r"the encoder has one of 0: .* own_context to true"):
        worker().check(pase.build(pase.Options(embedding=8, width=0.05)))
    with pytest.raises(UserError, match="frames of 7 channels hold no context of 7"):
        worker(context=7)


def test_too_few_frames_are_a_clear_error():
    with pytest.raises(UserError, match="predicts 3 frames ahead and a chunk has 3: choose longer chunks"):
        worker().loss(torch.randn(2, LATENT + 2, 3), batch())
    assert torch.isfinite(worker().loss(torch.randn(2, LATENT + 2, 4), batch()))


@pytest.mark.parametrize("bad", [{"steps": 0}, {"negatives": 0}, {"context": 0}, {"window": 3}])
def test_impossible_options_are_refused(bad):
    with pytest.raises(UserError, match=next(iter(bad))):
        registry.options(predictive_coding, SMALL | bad)


def loss_and_gradient(frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    built = worker()
    torch.manual_seed(3 + 10 * distributed.rank())  # as the trainer seeds processes differently
    loss = built.loss(frames, batch())
    loss.backward()
    distributed.average_gradients(built.parameters())
    return distributed.all_reduce_mean(loss.detach()), built.predictor.weight.grad


def given_frames() -> torch.Tensor:
    return torch.randn(6, LATENT + 2, 10, generator=torch.Generator().manual_seed(2))


def share(folder, size) -> None:
    with distributed.process_group(torch.device("cpu")):
        torch.save(
            loss_and_gradient(given_frames().chunk(size)[distributed.rank()]), folder / f"{distributed.rank()}.pt"
        )


@pytest.mark.parametrize("size", [2, 3, 6])
def test_processes_have_the_loss_and_gradients_of_the_joint_batch(tmp_path, size):
    group = processes.start_group(share, tmp_path, size, log=tmp_path / "log", size=size)
    assert processes.exit_codes(group) == [0] * size, (tmp_path / "log").read_text()
    expected = loss_and_gradient(given_frames())
    for rank in range(size):
        for value, wanted in zip(torch.load(tmp_path / f"{rank}.pt"), expected, strict=True):
            torch.testing.assert_close(value, wanted, rtol=1e-5, atol=1e-7)
