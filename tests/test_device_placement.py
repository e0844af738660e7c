"""Every encoder, worker and head runs on a GPU: none makes a tensor on another device (tried on an emulated GPU)."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.corpora import write_corpus
from tests.emulated_gpu import GPU, GpuTensor, emulated_gpu
from tests.encoders.external import EXAMPLES
from tests.pretraining_runs import config, write_features
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.checkpoints.encoder_file import build_encoder
from workflow_scripts.configuration.protocol import EvaluationProtocol
from workflow_scripts.core.errors import UserError
from workflow_scripts.evaluation.embedding import embed_clips
from workflow_scripts.evaluation.task import EvaluationTask, TrialStore
from workflow_scripts.evaluation.trial_models import build_model
from workflow_scripts.levels import registry
from workflow_scripts.pretraining.run import Pretraining
from workflow_scripts.pretraining.trainer import Trainer
from workflow_scripts.scenarios import frozen, supervised

CPU = torch.device("cpu")

#: options that keep networks small, of the levels that have them
SMALL = {"width": 0.05, "embedding": 8, "hidden": 4, "imagenet": False, "negatives": 2, "start_at_mean": True}
OWN_CONTEXT = {"own_context": True, "context": 8, "steps": 5}
SMALL_OF = {("head", "ast"): {"size": "tiny"}, ("worker", "predictive_coding"): OWN_CONTEXT}
TRAINABLE = [name for name in registry.names("encoder") if registry.load("encoder", name).TRAINABLE]
EMBEDDING_HEADS = [name for name in registry.names("head") if registry.load("head", name).READS != "maps"]
OWN = [name for name in TRAINABLE if name not in EXAMPLES]


def small(factor: str, name: str) -> dict[str, Any]:
    """Return options of a small network of this level."""
    fields = registry.load(factor, name).Options.model_fields
    return {key: value for key, value in SMALL.items() if key in fields} | SMALL_OF.get((factor, name), {})


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Any:
    @functools.cache
    def corpus(rate: int) -> Corpus:
        folder = tmp_path_factory.mktemp("corpora") / "tones"
        stems = ("vocals", "drums", "bass", "other")
        written = write_corpus(folder, clips=10, seconds=3.0, sample_rate=rate, stems=stems)
        write_features(folder / "prosody.npy", written, channels=4)
        return written

    return corpus


def options_of(encoder: str, folder: Path) -> dict[str, Any]:
    """Return the options of a small encoder; files of external networks are written into `folder`."""
    return EXAMPLES[encoder](folder) if encoder in EXAMPLES else small("encoder", encoder)


def rate_of(encoder: str, options: dict[str, Any]) -> int:
    level = registry.load("encoder", encoder)
    return int(level.sample_rate(registry.options(level, options)))


def build_trainer(
    encoder: str, workers: list[str], *, corpora: Any, folder: Path, device: torch.device, **numbers: object
) -> Trainer:
    """Build the trainer of a step and a validation, or of other numbers of the recipe.

    Raises `UserError` if encoder and workers do not fit together.
    """
    options = small("encoder", encoder)
    corpus = corpora(rate_of(encoder, options))
    stored = [name for name in workers if registry.load("worker", name).PRECOMPUTED]
    recipe: dict[str, object] = {
        "epochs": 1,
        "steps_per_epoch": 1,
        "chunk_seconds": 1.0,
        "compile": False,
        "precision": "float32",
    }
    recipe |= numbers
    choices = {
        "encoder": {"name": encoder, "options": options},
        "workers": {name: small("worker", name) for name in workers},
    }
    return Pretraining(
        config=config(**recipe) | choices,
        corpus=corpus,
        features=dict.fromkeys(stored, corpus.folder / "prosody.npy"),
        output=folder / f"{device.type}_{numbers}",
        code="c0de",
        device=device,
    ).build_trainer()


def fits(encoder: str, worker: str, *, corpora: Any, folder: Path) -> bool:
    try:
        trainer = build_trainer(encoder, [worker], corpora=corpora, folder=folder, device=CPU)
    except UserError:
        return False
    frames = trainer.loader.length // trainer.encoder.hop
    ahead = getattr(trainer.workers[worker], "steps", 0)  # frames ahead that it predicts
    return not ahead or frames > ahead


def kind(worker: str) -> tuple[int, bool]:
    """Return what workers that share a batch have in common: the views, and whether it holds mixtures."""
    level = registry.load("worker", worker)
    return registry.fact(level, "VIEWS"), hasattr(level, "mix")


@pytest.mark.parametrize("encoder", OWN)
def test_an_encoder_is_trained_and_validated_by_all_workers(encoder: str, corpora: Any, tmp_path: Path) -> None:
    suitable = [name for name in registry.names("worker") if fits(encoder, name, corpora=corpora, folder=tmp_path)]
    assert suitable
    for _, group in itertools.groupby(sorted(suitable, key=kind), key=kind):
        workers = list(group)
        build = functools.partial(build_trainer, encoder, workers, corpora=corpora, folder=tmp_path)
        on_cpu = build(device=CPU).run().loss_log
        with emulated_gpu():
            trainer = build(device=GPU)
            on_gpu = trainer.run().loss_log
        assert {row.split for row in on_gpu.rows} == {"train", "valid"}
        assert {type(value) for value in trainer.encoder.state_dict().values()} == {GpuTensor}
        for row, expected in zip(on_gpu.rows, on_cpu.rows, strict=True):
            assert row.loss == pytest.approx(expected.loss, rel=1e-3), row


def build_task(encoder: str, head: str, *, corpora: Any, folder: Path, embeddings: np.ndarray | None) -> EvaluationTask:
    """Build a cell of one trial of one epoch on the GPU."""
    options, level = options_of(encoder, folder), registry.load("head", head)
    corpus = corpora(rate_of(encoder, options))
    build_head = functools.partial(level.build, registry.options(level, small("head", head)), outputs=3)
    reads_maps = level.READS == "maps"
    return EvaluationTask(
        corpus=corpus,
        build_head=lambda inputs: build_head(inputs=inputs),
        build_maps_head=(lambda sources, decoder: build_head(sources=sources, decoder=decoder)) if reads_maps else None,
        fraction=1.0,
        trials=1,
        settings=EvaluationProtocol(batch=8, max_epochs=1),
        device=GPU,
        store=TrialStore(folder / "trials", digest="d1"),
        embeddings=embeddings,
        build_encoder=lambda seed: build_encoder({"name": encoder, "options": options}, seed=seed, encoder_file=None),
    )


@pytest.mark.parametrize("encoder", registry.names("encoder"))
def test_an_encoder_embeds_clips_as_on_a_cpu(encoder: str, corpora: Any, tmp_path: Path) -> None:
    options = options_of(encoder, tmp_path)
    corpus = corpora(rate_of(encoder, options))
    network = build_encoder({"name": encoder, "options": options}, seed=0, encoder_file=None)
    expected = embed_clips(network, corpus, np.arange(2), device=CPU)
    assert expected.isfinite().all()
    with emulated_gpu():
        embeddings = embed_clips(network.to(GPU), corpus, np.arange(2), device=GPU)
        assert isinstance(embeddings, GpuTensor)
        torch.testing.assert_close(embeddings.cpu(), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("head", EMBEDDING_HEADS)
def test_a_head_is_trained_on_embeddings(head: str, corpora: Any, tmp_path: Path) -> None:
    corpus = corpora(16000)
    embeddings = np.random.default_rng(0).standard_normal((len(corpus.lengths), 26)).astype(np.float32)
    with emulated_gpu():
        task = build_task("pase", head, corpora=corpora, folder=tmp_path, embeddings=embeddings)
        (result,) = frozen.run(task)
    assert np.isfinite(result.scores).all()


@pytest.mark.parametrize("head", registry.names("head"))
@pytest.mark.parametrize("encoder", registry.names("encoder"))
def test_a_head_is_trained_and_evaluated_with_its_encoder(
    encoder: str, head: str, corpora: Any, tmp_path: Path
) -> None:
    if encoder not in TRAINABLE and head in EMBEDDING_HEADS:
        pytest.skip("nothing to train")
    with emulated_gpu():
        try:
            task = build_task(encoder, head, corpora=corpora, folder=tmp_path, embeddings=None)
            build_model(task, 0)
        except UserError as error:
            pytest.skip(str(error))
        (result,) = supervised.run(task)
    assert np.isfinite(result.scores).all()
    assert result.epochs == 1


def misplace_frames(trainer: Trainer) -> None:
    """Let the encoder multiply its frames by a window of the CPU."""
    trainer.encoder.register_forward_hook(lambda _, __, frames: frames * torch.hann_window(frames.shape[-1]))


def misplace_target(trainer: Trainer) -> None:
    """Leave statistics of a worker on the CPU."""
    worker: Any = trainer.workers["lps"]
    worker.target_mean = torch.zeros(worker.target_mean.shape)


def misplace_gradient(trainer: Trainer) -> None:
    """Let a gradient meet a tensor of the CPU."""
    parameter = next(trainer.encoder.parameters())
    parameter.register_hook(lambda gradient: gradient * torch.ones(gradient.shape))


@pytest.mark.parametrize("misplace", [misplace_frames, misplace_target, misplace_gradient])
def test_a_single_tensor_on_the_wrong_device_is_noticed_in_training(
    misplace: Callable[[Trainer], None], corpora: Any, tmp_path: Path
) -> None:
    with emulated_gpu():
        trainer = build_trainer("pase", ["lps"], corpora=corpora, folder=tmp_path, device=GPU)
        misplace(trainer)
        with pytest.raises(RuntimeError, match="same device, but found at least two devices, cuda:0 and cpu"):
            trainer.run()


def test_a_single_tensor_on_the_wrong_device_is_noticed_in_evaluation(corpora: Any, tmp_path: Path) -> None:
    with emulated_gpu():
        model = build_model(build_task("pase", "linear", corpora=corpora, folder=tmp_path, embeddings=None), 0)
        model.encoder.register_forward_hook(lambda _, __, frames: frames + torch.zeros(frames.shape))
        with pytest.raises(RuntimeError, match="same device"):
            model.scores(np.arange(2))
