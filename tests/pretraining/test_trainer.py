"""The trainer with a network so small that accumulated gradients can be compared with those of the whole batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.corpora import write_corpus
from workflow_scripts.augmentations import none
from workflow_scripts.configuration.recipe import Recipe
from workflow_scripts.core.validation import parse
from workflow_scripts.networks.interfaces import Batch, Encoder, Worker
from workflow_scripts.pretraining.crop_sampler import CropSampler
from workflow_scripts.pretraining.data_loader import BatchLoader
from workflow_scripts.pretraining.trainer import Trainer, TrainingResult
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
    """Regression of the energy of the frames."""

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


def train(corpus, folder, **numbers: object) -> tuple[Trainer, TrainingResult]:
    stated = {"epochs": 2, "steps_per_epoch": 5, "batch": 8, "validation_batches": 1, "calibration_batches": 1}
    stated |= {"chunk_seconds": 2, "encoder_learning_rate": 0.001, "worker_learning_rate": 0.0005, "schedule": "poly"}
    recipe = parse(Recipe, stated | numbers, where="recipe")
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
        combine_losses=equal.weigh,
        weights={"loudness": 1.0},
        sampler=CropSampler(corpus, batch=recipe.batch, length=LENGTH, seed=0),
        loader=loader,
        recipe=recipe,
        seed=0,
        state_file=StateFile(folder / "run", "digest"),
    )
    return trainer, trainer.run()


@pytest.mark.parametrize("parts", [2, 4])
def test_accumulated_gradients_equal_those_of_the_whole_batch(corpus, tmp_path, parts):
    (whole, whole_result), (accumulated, result) = (
        train(corpus, tmp_path / str(number), accumulate=number) for number in (1, parts)
    )
    assert whole.encoder.examples[0] == 8
    assert accumulated.encoder.examples[0] == 8 // parts
    torch.testing.assert_close(accumulated.encoder.state_dict(), whole.encoder.state_dict(), rtol=0, atol=1e-6)
    whole_losses, losses = ([row.loss for row in run.loss_log.rows] for run in (whole_result, result))
    assert losses == pytest.approx(whole_losses, rel=1e-5)
    assert not torch.equal(whole.encoder.convolution.weight, Toy().convolution.weight)


def test_flops_and_time_of_the_steps_are_recorded(corpus, tmp_path):
    _, result = train(corpus, tmp_path / "whole")
    frames = 8 * LENGTH // 160
    # forward and gradient of the weights for both layers, gradient of the inputs for the second
    assert result.throughput.flops_per_step == 2 * frames * 4 * 160 * 2 + 2 * frames * 4 * 3
    assert result.throughput.steps == 10
    assert 0 < result.throughput.step_seconds < result.seconds
