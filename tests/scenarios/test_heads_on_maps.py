"""Heads that read maps learn from windows and are scored by the mean over windows, in two and three stages."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tests.corpora import write_corpus
from tests.scenarios.cells import cell, shuffle_labels, small_pase
from tests.scenarios.maps import Stub, StubHead, maps_cell
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import magnitude
from workflow_scripts.evaluation import trial_seeds
from workflow_scripts.evaluation.trial_models import MapsModel
from workflow_scripts.networks.maps import Maps
from workflow_scripts.scenarios import fine_tuned, supervised, three_stage
from workflow_scripts.statistics.metrics import metrics

FAST = {"learning_rate": 0.02, "batch": 8, "max_epochs": 8}


@pytest.fixture(params=["multiclass", "multilabel"])
def corpus(request, tmp_path):
    return write_corpus(tmp_path / "tones", clips=60, seconds=0.5, classes=3, task=request.param)


@pytest.fixture
def stub_stage(monkeypatch):
    """The stage alone reads the stub's spectrogram."""

    class Alone(Stub):
        def maps(self, waveform):
            maps_of_stub = super().maps(waveform)
            return Maps(magnitude=maps_of_stub.magnitude, masked=maps_of_stub.masked[:, :0])

    monkeypatch.setattr(magnitude, "build", lambda options: Alone())


def accuracy(corpus, results):
    labels = corpus.labels[corpus.rows("test")]
    return [metrics(corpus.facts.task, labels=labels, scores=result.scores)["accuracy"] for result in results]


@pytest.mark.parametrize("scenario", [supervised, fine_tuned, three_stage])
def test_tones_are_learned_and_shuffled_labels_are_not(scenario, corpus, tmp_path, stub_stage):
    results = scenario.run(maps_cell(corpus, folder=tmp_path / "kept", **FAST))
    assert min(accuracy(corpus, results)) > 0.9
    assert all(0 <= result.scores.min() <= result.scores.max() <= 1 for result in results)
    labels = shuffle_labels(corpus)
    assert np.mean(accuracy(labels, scenario.run(maps_cell(labels, folder=tmp_path / "other", **FAST)))) < 0.75


def test_a_clip_is_scored_by_the_mean_over_windows_that_overlap_by_half(corpus, tmp_path):
    model = MapsModel(maps_cell(corpus, folder=tmp_path, **FAST), 0)
    rows = corpus.rows("test")[:3]
    clip_scores = model.scores(rows)
    for row, scores in zip(rows, clip_scores, strict=True):
        starts = range(0, int(corpus.lengths[row]) - 1600 + 1, 800)
        assert len(starts) == 9
        windows = np.stack([corpus.cut(int(row), start=start, length=1600) for start in starts])
        with torch.no_grad():
            logits = model.head(model.encoder.maps(torch.from_numpy(windows)))
        alone = logits.softmax(-1) if corpus.facts.task == "multiclass" else logits.sigmoid()
        np.testing.assert_allclose(scores, alone.mean(0), rtol=1e-4)


def test_validation_reads_each_sample_once_and_the_test_twice(corpus, tmp_path):
    model = MapsModel(maps_cell(corpus, folder=tmp_path, **FAST), 0)
    rows = corpus.rows("valid")
    for predict, windows in ((lambda: model.predict_clips(rows), 5), (lambda: model.predict_clips(rows, test=True), 9)):
        model.head.batch_sizes.clear()
        with torch.no_grad():
            predict()
        assert sum(model.head.batch_sizes) == windows * len(rows)


def test_the_first_trial_stores_its_windows(corpus, tmp_path, stub_stage):
    first, second = three_stage.run(maps_cell(corpus, folder=tmp_path / "kept", **FAST))
    assert second.windows is None
    windows = first.windows
    assert windows.seconds == pytest.approx(0.1)
    for place, scores in enumerate(first.scores):
        of_clip = windows.clips == place
        np.testing.assert_allclose(windows.starts[of_clip], 0.05 * np.arange(9), rtol=1e-6)
        np.testing.assert_allclose(windows.scores[of_clip].mean(axis=0), scores, atol=1e-3)  # float16
    again, _ = three_stage.run(maps_cell(corpus, folder=tmp_path / "kept", **FAST))
    assert len(first.validation) == first.epochs, "of both trainings"
    assert first.validation[:, 1].sum() == 2, "an epoch of each is kept"
    np.testing.assert_array_equal(again.validation, first.validation)
    assert dataclasses.asdict(again.windows).keys() == dataclasses.asdict(windows).keys()
    for name, value in vars(windows).items():
        np.testing.assert_array_equal(getattr(again.windows, name), value)


def test_a_short_clip_is_one_window(tmp_path):
    corpus = write_corpus(tmp_path / "tones", clips=10, seconds=[0.02, 0.7] * 5, classes=2)
    model = MapsModel(maps_cell(corpus, folder=tmp_path / "kept", **FAST), 0)
    with torch.no_grad():
        assert model.predict_clips(np.array([0, 1, 2]), test=True).shape == (3, 2)
        repeated = np.resize(corpus.cut(0), 1600)[None]
        alone = model.head(model.encoder.maps(torch.from_numpy(repeated)))
        torch.testing.assert_close(model.predict_clips(np.array([0])), alone)


def test_a_clip_that_is_left_alone_does_not_stop_normalisation(corpus, tmp_path):
    numbers = FAST | {"max_epochs": 1, "batch": 5}
    built = []
    one = maps_cell(corpus, folder=tmp_path, trials=1, built=built, fraction=0.17, **numbers)
    assert one.label_subset(0, segments=np.ones_like(corpus.lengths)).clips == 6
    supervised.run(one)
    assert built[0].batch_sizes[1:3] == [5, 2] or built[0].batch_sizes[:2] == [5, 2]


def test_heads_start_alike_for_every_encoder_and_apart_in_every_trial(corpus, tmp_path):
    def first(trial, seed):
        given = maps_cell(corpus, folder=tmp_path, **FAST)
        other = dataclasses.replace(given, build_encoder=lambda _: given.build_encoder(seed))
        return MapsModel(other, trial).head.mixture.weight

    assert torch.equal(first(0, 1), first(0, 2))
    assert not torch.equal(first(0, 1), first(1, 1))


def test_finding_the_channels_leaves_the_encoder_as_it_is(corpus, tmp_path):
    class Counting(Stub):
        def __init__(self):
            super().__init__()
            self.norm = torch.nn.BatchNorm2d(1)

        def maps(self, waveform):
            self.norm(torch.ones(2, 1, 1, 1))
            return super().maps(waveform)

    given = dataclasses.replace(maps_cell(corpus, folder=tmp_path, **FAST), build_encoder=lambda _: Counting())
    assert MapsModel(given, 0).encoder.norm.num_batches_tracked == 0


def test_three_stages_train_the_head_alone_first_and_count_both(corpus, tmp_path, stub_stage):
    built: list[StubHead] = []
    result = three_stage.run(maps_cell(corpus, folder=tmp_path, trials=1, built=built, **FAST))[0]
    assert [head.sources for head in built] == [0, 1]
    assert [head.taken_over for head in built] == [0, 1]
    assert 8 < result.epochs <= 16
    two = fine_tuned.run(maps_cell(corpus, folder=tmp_path / "two", trials=1, **FAST))[0]
    assert not np.array_equal(result.scores, two.scores)


@pytest.mark.parametrize(("scenario", "stages"), [(supervised, 1), (three_stage, 2)])
def test_a_job_killed_in_the_last_stage_of_a_trial_gets_the_same_results(
    scenario, stages, corpus, tmp_path, stub_stage
):
    class KilledError(Exception):
        pass

    def build_and_die_in_the_second_trial(sources, decoder):
        head = killed.build_maps_head(sources, decoder)
        if len(built) == 2 * stages:
            head.register_forward_pre_hook(die)
        return head

    def die(head, _):
        if len(head.batch_sizes) == 8:  # it has learned and validated, and learns again
            raise KilledError

    numbers = FAST | {"max_epochs": 2, "trials": 2}
    whole = scenario.run(maps_cell(corpus, folder=tmp_path / "whole", **numbers))
    built: list[StubHead] = []
    killed = maps_cell(corpus, folder=tmp_path / "killed", built=built, **numbers)
    with pytest.raises(KilledError):
        scenario.run(dataclasses.replace(killed, build_maps_head=build_and_die_in_the_second_trial))
    resumed = scenario.run(killed)
    assert len(built) == 3 * stages, "the first trial is not trained again"
    for one, other in zip(whole, resumed, strict=True):
        assert one.epochs == other.epochs
        assert np.array_equal(one.scores, other.scores)


def test_three_stages_need_a_head_that_reads_maps(corpus, tmp_path):
    with pytest.raises(UserError, match="three_stage needs a head that reads maps"):
        three_stage.run(cell(corpus, folder=tmp_path, **FAST))


def test_an_encoder_without_maps_is_named(corpus, tmp_path):
    given = dataclasses.replace(maps_cell(corpus, folder=tmp_path, **FAST), build_encoder=small_pase)
    with pytest.raises(UserError, match="Pase has no maps for the head to read: choose encoder unet"):
        supervised.run(given)


def test_pooling_embeddings_is_refused(corpus, tmp_path):
    with pytest.raises(UserError, match="has no embeddings to pool: set crops to average"):
        supervised.run(maps_cell(corpus, folder=tmp_path, crops="pool", **FAST))


def test_trials_see_the_clips_in_the_same_order_as_other_heads(corpus, tmp_path, monkeypatch):
    seen = []
    real = trial_seeds.shuffle_rows
    monkeypatch.setattr(trial_seeds, "shuffle_rows", lambda rows, **given: seen.append(given) or real(rows, **given))
    supervised.run(maps_cell(corpus, folder=tmp_path, **(FAST | {"max_epochs": 2, "trials": 1})))
    assert seen == [{"trial": 0, "epoch": 0}, {"trial": 0, "epoch": 1}]
