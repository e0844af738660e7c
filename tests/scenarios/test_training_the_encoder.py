import dataclasses

import numpy as np
import pytest
import torch

from tests.corpora import write_corpus
from tests.scenarios.cells import cell, shuffle_labels, small_pase
from workflow_scripts.core.errors import UserError
from workflow_scripts.evaluation import end_to_end, trial_models
from workflow_scripts.evaluation.label_subsets import LabelSubset
from workflow_scripts.scenarios import fine_tuned, supervised
from workflow_scripts.statistics.metrics import metrics

FAST = {"learning_rate": 0.01, "batch": 8, "max_epochs": 6, "crop_seconds": 0.2, "trials": 2}


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path / "tones", clips=60, seconds=0.5, classes=3)


def accuracy(corpus, results):
    labels = corpus.labels[corpus.rows("test")]
    return [metrics(corpus.facts.task, labels=labels, scores=result.scores)["accuracy"] for result in results]


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [supervised, fine_tuned])
def test_tones_are_learned_and_shuffled_labels_are_not(scenario, corpus, tmp_path):
    assert min(accuracy(corpus, scenario.run(cell(corpus, folder=tmp_path / "kept", **FAST)))) > 0.9
    labels = shuffle_labels(corpus)
    assert np.mean(accuracy(labels, scenario.run(cell(labels, folder=tmp_path / "other", **FAST)))) < 0.75


def test_multilabel_with_unobserved_labels_is_learned(tmp_path):
    corpus = write_corpus(tmp_path / "tones", clips=60, seconds=0.5, classes=3, task="multilabel")
    assert accuracy(corpus, supervised.run(cell(corpus, folder=tmp_path / "kept", **FAST)))[0] > 0.8


def test_every_trial_of_supervised_starts_from_its_own_weights(corpus, tmp_path):
    seeds = []

    def build(seed):
        seeds.append(seed)
        return small_pase(seed)

    numbers = FAST | {"max_epochs": 1, "trials": 3}
    supervised.run(cell(corpus, folder=tmp_path / "kept", build_encoder=build, **numbers))
    again = list(seeds)
    seeds.clear()
    supervised.run(cell(corpus, folder=tmp_path / "other", build_encoder=build, **numbers))
    assert seeds == again
    assert len(set(seeds)) == 3


@pytest.mark.slow
def test_an_interrupted_job_goes_on_with_the_next_trial_and_gets_the_same_results(corpus, tmp_path, monkeypatch):
    numbers = FAST | {"max_epochs": 2, "trials": 3}
    whole = supervised.run(cell(corpus, folder=tmp_path / "whole", **numbers))
    trained, real = [], end_to_end.train_trial

    def until_killed(given, trial):
        if trial == 2 and trained == [0, 1]:
            raise KeyboardInterrupt
        trained.append(trial)
        return real(given, trial)

    monkeypatch.setattr(end_to_end, "train_trial", until_killed)
    with pytest.raises(KeyboardInterrupt):
        supervised.run(cell(corpus, folder=tmp_path / "killed", **numbers))
    trained.append("killed")
    resumed = supervised.run(cell(corpus, folder=tmp_path / "killed", **numbers))
    assert trained == [0, 1, "killed", 2]
    for one, other in zip(whole, resumed, strict=True):
        assert (one.trial, one.epochs, one.train_clips) == (other.trial, other.epochs, other.train_clips)
        assert np.array_equal(one.scores, other.scores)


def test_finished_trials_of_another_job_are_not_used(corpus, tmp_path, monkeypatch):
    given = cell(corpus, folder=tmp_path / "kept", **(FAST | {"max_epochs": 1, "trials": 1}))
    supervised.run(given)
    trained, real = [], end_to_end.train_trial
    monkeypatch.setattr(end_to_end, "train_trial", lambda given, trial: trained.append(trial) or real(given, trial))
    other = dataclasses.replace(given, store=type(given.store)(tmp_path / "kept", digest="other"))
    supervised.run(other)
    assert trained == [0]


def test_the_best_epoch_is_restored(corpus, tmp_path):
    labels = shuffle_labels(corpus)
    numbers = FAST | {"patience": 3, "max_epochs": 40, "trials": 1}
    long = supervised.run(cell(labels, folder=tmp_path / "long", **numbers))[0]
    best = long.epochs - 3
    assert 0 < best < 37
    short = supervised.run(cell(labels, folder=tmp_path / "short", **(numbers | {"max_epochs": best})))[0]
    assert np.array_equal(long.scores, short.scores)


def test_a_loss_that_is_not_finite_names_the_trial(corpus, tmp_path):
    def broken(seed):
        encoder = small_pase(seed)
        encoder.W.weight.data.fill_(float("nan"))
        return encoder

    with pytest.raises(UserError, match="trial 0: the validation loss is nan after epoch 1"):
        supervised.run(cell(corpus, folder=tmp_path / "kept", build_encoder=broken, **FAST))


def test_clips_of_other_lengths_than_the_crop_are_fine(tmp_path):
    corpus = write_corpus(tmp_path / "tones", clips=10, seconds=[0.05, 0.7] * 5, classes=2)
    for crop in (None, 0.3):
        numbers = FAST | {"max_epochs": 1, "trials": 1, "crop_seconds": crop}
        result = supervised.run(cell(corpus, folder=tmp_path / str(crop), **numbers))[0]
        assert np.isfinite(result.scores).all()


def test_crops_are_random_parts_of_each_clip_and_repeat_short_ones(tmp_path):
    corpus = write_corpus(tmp_path / "tones", clips=5, seconds=[0.5, 0.5, 0.5, 0.5, 0.01], classes=2)
    rows = np.arange(5)
    parts = [
        trial_models.read_random_crops(corpus, LabelSubset(rows), length=400, rng=np.random.default_rng(seed))
        for seed in (0, 0, 1)
    ]
    assert np.array_equal(parts[0], parts[1])
    assert not np.array_equal(parts[0][:4], parts[2][:4])
    for row in range(4):
        windows = np.lib.stride_tricks.sliding_window_view(corpus.cut(row), 400)
        assert (windows == parts[0][row]).all(axis=1).any()
    assert np.array_equal(parts[0][4], np.resize(corpus.cut(4), 400))


def test_batch_normalisation_learns_in_training_and_rests_in_evaluation(corpus, tmp_path):
    built = []

    def build(seed):
        built.append(small_pase(seed))
        return built[-1]

    before = small_pase(0).norm_out.running_mean.clone()
    fine_tuned.run(cell(corpus, folder=tmp_path / "kept", build_encoder=build, **(FAST | {"trials": 1})))
    assert not torch.equal(before, built[0].norm_out.running_mean)
    assert not built[0].training
