"""The trainer with a network small enough to tell accumulation from the batch as a whole."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.corpora import write_corpus
from workflow_scripts.augmentations import none
from workflow_scripts.networks.interfaces import Batch, Encoder, Worker
from workflow_scripts.pretraining.recipe import Recipe
from workflow_scripts.pretraining.sampling import BatchLoader, Cutter
from workflow_scripts.pretraining.trainer import Trainer
from workflow_scripts.pretraining.training_state import StateFile
from workflow_scripts.weightings import equal

LENGTH = 3200


class Toy(Encoder):
    """A strided convolution."""

    sample_rate, hop, embedding_size = 16000, 160, 4

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv1d(1, 4, 160, stride=160)
        self.examples: list[int] = []

    def forward(self, audio: Tensor) -> Tensor:
        self.examples.append(len(audio))
        return self.convolution(audio[:, None]).tanh()


class Loudness(Worker):
    """Regresses the frames' energy."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layer = nn.Conv1d(4, 1, 1)

    def loss(self, frames: Tensor, batch: Batch) -> Tensor:
        target = batch.clean.unfold(-1, 160, 160).square().mean(-1)
        return (self.layer(frames)[:, 0] - target).square().mean()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpora") / "tones", clips=20, seconds=0.5, task="unlabelled")


def trained(corpus, folder, **numbers: object) -> Trainer:
    recipe = Recipe(epochs=2, steps_per_epoch=5, batch=8, validation_batches=1, calibration_batches=0, **numbers)
    loader = BatchLoader(
        corpus=corpus,
        features={},
        augmentation=none.build(none.Options(), sample_rate=16000),
        length=LENGTH,
        device=torch.device("cpu"),
    )
    trainer = Trainer(
        encoder=Toy(),
        workers={"loudness": Loudness()},
        weigh=equal.weigh,
        weights={"loudness": 1.0},
        cutter=Cutter(corpus, batch=recipe.batch, length=LENGTH, seed=0),
        loader=loader,
        recipe=recipe,
        seed=0,
        state=StateFile(folder / "run", "digest"),
    )
    trainer.outcome = trainer.run()
    return trainer


@pytest.mark.parametrize("parts", [2, 4])
def test_accumulated_gradients_are_those_of_the_batch(corpus, tmp_path, parts):
    whole, accumulated = (trained(corpus, tmp_path / str(number), accumulate=number) for number in (1, parts))
    assert whole.encoder.examples[0] == 8
    assert accumulated.encoder.examples[0] == 8 // parts
    torch.testing.assert_close(accumulated.encoder.state_dict(), whole.encoder.state_dict(), rtol=0, atol=1e-6)
    losses = [[row.loss for row in each.outcome.history.rows] for each in (whole, accumulated)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert not torch.equal(whole.encoder.convolution.weight, Toy().convolution.weight)


def test_the_arithmetic_and_the_time_of_the_steps_are_known(corpus, tmp_path):
    whole = trained(corpus, tmp_path / "whole")
    flops = whole.outcome.throughput.flops_per_step
    frames = 8 * LENGTH // 160
    # forward and slope of the weights for both layers, slope of the inputs for the second
    assert flops == 2 * frames * 4 * 160 * 2 + 2 * frames * 4 * 3
    assert whole.outcome.throughput.steps == 10
    assert 0 < whole.outcome.throughput.step_seconds < whole.outcome.seconds
