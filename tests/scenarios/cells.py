"""Cells of tiny corpora for tests."""

import numpy as np
import torch

from workflow_scripts.configuration.protocol import EvaluationProtocol
from workflow_scripts.encoders import pase
from workflow_scripts.evaluation.task import EvaluationTask, TrialStore
from workflow_scripts.heads import linear

CPU = torch.device("cpu")


def small_pase(seed):
    torch.manual_seed(seed)
    return pase.build(pase.Options(embedding=16, width=0.1))


def informative(corpus, *, size=8, seed=0):
    """Embeddings that hold the (known) labels and noise, in scales that differ much by channel."""
    generator = np.random.default_rng(seed)
    known = np.nan_to_num(corpus.labels, nan=0.5)
    signal = np.pad(known, ((0, 0), (0, size - known.shape[1])))
    return ((signal + 0.3 * generator.standard_normal(signal.shape)) * 10.0 ** np.arange(-2, size - 2)).astype(
        np.float32
    )


def shuffle_labels(corpus, *, seed=0):
    """The corpus with labels that say nothing about the audio."""
    corpus.labels = np.random.default_rng(seed).permutation(corpus.labels)
    return corpus


def cell(corpus, *, folder, embeddings=None, fraction=1.0, trials=3, build_encoder=small_pase, head=linear, **numbers):
    classes = len(corpus.facts.classes)
    return EvaluationTask(
        corpus=corpus,
        build_head=lambda inputs: head.build(head.Options(), inputs=inputs, outputs=classes),
        fraction=fraction,
        trials=trials,
        settings=EvaluationProtocol(**numbers),
        device=CPU,
        store=TrialStore(folder, digest="digest"),
        embeddings=embeddings,
        build_encoder=build_encoder,
    )
