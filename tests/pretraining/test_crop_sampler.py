"""Crops are drawn from counters alone, in passes over the recordings of a split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.corpora import write_corpus
from workflow_scripts.core.errors import UserError
from workflow_scripts.pretraining.crop_sampler import CropIndex, CropSampler

LENGTH = 8000


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    seconds = [0.3, 1.0, 1.2, 0.9, 0.5] * 6
    return write_corpus(tmp_path_factory.mktemp("corpora") / "tones", clips=30, seconds=seconds)


def are_equal(first: CropIndex, second: CropIndex) -> bool:
    return np.array_equal(first.rows, second.rows) and np.array_equal(first.starts, second.starts)


@settings(deadline=None, max_examples=25)
@given(batch=st.integers(2, 40), step=st.integers(0, 500), seed=st.integers(0, 2**31))
def test_the_crops_of_a_step_do_not_depend_on_the_steps_before_it(corpus, batch, step, seed):
    fresh, used = (CropSampler(corpus, batch=batch, length=LENGTH, seed=seed) for _ in range(2))
    for earlier in (0, step // 2, step + 7):
        used.training_crops(earlier)
    assert are_equal(fresh.training_crops(step), used.training_crops(step))
    crops = fresh.training_crops(step)
    assert set(corpus.clips["split"].to_numpy()[crops.rows]) == {"train"}
    assert (crops.starts % 160 == 0).all()
    assert (crops.starts + LENGTH <= corpus.lengths[crops.rows]).all()


def test_each_clip_occurs_once_per_pass_and_every_pass_has_another_order(corpus):
    sampler = CropSampler(corpus, batch=4, length=LENGTH, seed=1)
    clips = len(sampler.train)
    passes = np.concatenate([sampler.training_crops(step).rows for step in range(clips)]).reshape(-1, clips)
    assert all(sorted(order) == sorted(sampler.train) for order in passes)
    assert len({tuple(order) for order in passes}) == len(passes)


def test_different_steps_and_different_seeds_give_different_crops(corpus):
    sampler, other = (CropSampler(corpus, batch=8, length=4000, seed=seed) for seed in (1, 2))
    assert not are_equal(sampler.training_crops(0), sampler.training_crops(1))
    assert not are_equal(sampler.training_crops(0), other.training_crops(0))


def test_crops_reach_both_ends_of_a_clip(tmp_path):
    corpus = write_corpus(tmp_path / "c", clips=5, seconds=1.0)
    sampler = CropSampler(corpus, batch=8, length=16000 - 320, seed=1)
    starts = np.concatenate([sampler.training_crops(step).starts for step in range(20)])
    assert set(starts) == {0, 160, 320}


def test_short_clips_are_left_out_if_there_are_long_ones(corpus):
    sampler = CropSampler(corpus, batch=2, length=LENGTH, seed=0)
    assert (corpus.lengths[sampler.train] >= LENGTH).all()
    assert sampler.short_clips == 6


def test_a_chunk_longer_than_every_clip_is_refused(corpus):
    with pytest.raises(
        UserError, match=r"every training clip is shorter .* lower the recipe's chunk_seconds to 50.0% of its value"
    ):
        CropSampler(corpus, batch=2, length=2 * int(corpus.lengths[corpus.rows("train")].max()), seed=0)


def test_clips_left_out_and_validation_clips_padded_with_silence_are_told(tmp_path):
    corpus = write_corpus(tmp_path / "c", clips=10, seconds=[2.0, 1.0, 2.0, 0.5, 1.0] * 2)
    sampler = CropSampler(corpus, batch=2, length=3 * LENGTH, seed=0)
    left_out = "2 of 6 training clips are shorter than a chunk and are left out"
    padded = "2 of 2 validation clips are shorter than a chunk and are padded with silence"
    assert list(sampler.describe_short(validation=True)) == [left_out, padded]
    assert list(sampler.describe_short(validation=False)) == [left_out]
    assert len(sampler.validation_crops(1)[0].rows) == 2


@settings(deadline=None, max_examples=25)
@given(processes=st.integers(1, 4), parts=st.integers(1, 4), examples=st.integers(1, 3), views=st.integers(1, 2))
def test_the_shards_of_all_processes_make_up_the_batch_part_by_part(corpus, processes, parts, examples, views):
    batch = processes * parts * examples
    assume(views == 1 or batch <= 12)  # clips that are long enough
    crops = CropSampler(corpus, batch=batch, length=LENGTH, seed=1, views=views).training_crops(3)
    shards = [crops.shard(process, processes=processes, parts=parts) for process in range(processes)]
    for name in ("rows", "starts"):
        by_view = getattr(crops, name).reshape(views, -1)
        shards_by_view = [getattr(shard, name).reshape(views, -1) for shard in shards]
        for part in range(parts):
            in_batch, in_shard = (slice(part * size, (part + 1) * size) for size in (processes * examples, examples))
            joined = np.concatenate([shard[:, in_shard] for shard in shards_by_view], axis=1)
            np.testing.assert_array_equal(joined, by_view[:, in_batch])


def test_two_views_of_a_clip_are_independent_crops_of_it(corpus):
    sampler = CropSampler(corpus, batch=8, length=4000, seed=1, views=2)
    batches = [sampler.training_crops(step) for step in range(50)]
    assert all(np.array_equal(*crops.rows.reshape(2, 8)) for crops in batches)
    places = [(crops.starts / (corpus.lengths[crops.rows] - 4000)).reshape(2, 8) for crops in batches]
    # 0.15 is three standard deviations of the correlation of 400 pairs
    assert abs(np.corrcoef(np.concatenate(places, axis=1))[0, 1]) < 0.15
    single_view = CropSampler(corpus, batch=8, length=4000, seed=1)
    first_pass = batches[: sampler.steps_per_pass]  # later passes drop an incomplete batch
    assert all(
        np.array_equal(crops.rows[:8], single_view.training_crops(step).rows) for step, crops in enumerate(first_pass)
    )


@pytest.mark.parametrize("batch", [5, 7])
def test_a_clip_is_never_its_own_negative(corpus, batch):
    sampler = CropSampler(corpus, batch=batch, length=LENGTH, seed=1, views=2)
    assert len(sampler.train) % batch, "or no batch would extend beyond the end of a pass"
    for step in range(40):
        first, second = sampler.training_crops(step).rows.reshape(2, batch)
        assert len(set(first)) == batch
        assert np.array_equal(first, second)
    first_pass = np.concatenate([sampler.training_crops(step).rows[:batch] for step in range(sampler.steps_per_pass)])
    assert len(set(first_pass)) == len(first_pass)


def test_a_contrastive_batch_of_more_clips_than_the_split_has_is_refused(corpus):
    clips = len(CropSampler(corpus, batch=1, length=LENGTH, seed=1).train)
    CropSampler(corpus, batch=clips + 1, length=LENGTH, seed=1)
    CropSampler(corpus, batch=clips, length=LENGTH, seed=1, views=2)
    message = rf"{clips} training clips as long as a chunk, too few for batches of {clips + 1} .* batch to {clips}, or"
    with pytest.raises(UserError, match=message):
        CropSampler(corpus, batch=clips + 1, length=LENGTH, seed=1, views=2)


def test_an_epoch_is_counted_as_in_the_official_code(corpus):
    total = corpus.lengths[corpus.rows("train")].sum()
    assert CropSampler(corpus, batch=4, length=LENGTH, seed=0).steps_per_epoch == total // LENGTH // 4
    assert CropSampler(corpus, batch=1000, length=LENGTH, seed=0).steps_per_epoch == 1


def test_a_pass_covers_each_clip_once_except_for_an_incomplete_batch(corpus):
    sampler = CropSampler(corpus, batch=5, length=LENGTH, seed=0)
    assert sampler.steps_per_pass == len(sampler.train) // 5
    assert CropSampler(corpus, batch=1000, length=LENGTH, seed=0).steps_per_pass == 1


def test_validation_crops_are_the_same_for_every_run(corpus):
    first, second = (CropSampler(corpus, batch=4, length=LENGTH, seed=seed).validation_crops(3) for seed in (1, 2))
    assert all(are_equal(*pair) for pair in zip(first, second, strict=True))
    rows = np.concatenate([crops.rows for crops in first])
    assert set(corpus.clips["split"].to_numpy()[rows]) == {"valid"}
    assert set(rows) == set(corpus.rows("valid")), "with fewer clips than crops, every clip is used"


@pytest.mark.parametrize("split", ["train", "valid"])
def test_an_empty_split_is_a_clear_error(tmp_path, split):
    corpus = write_corpus(tmp_path / "c", clips=5)
    corpus.clips["split"] = "test" if split == "train" else "train"
    with pytest.raises(UserError, match=f"no clips in its {split} split"):
        CropSampler(corpus, batch=2, length=LENGTH, seed=0).validation_crops(1)


def test_a_corpus_that_is_only_pre_trained_on_gives_its_validation_split_too(corpus):
    sampler = CropSampler(corpus, batch=1, length=LENGTH, seed=0, training_splits=("train", "valid"))
    usable = {row for split in ("train", "valid") for row in corpus.rows(split) if corpus.lengths[row] >= LENGTH}
    assert set(sampler.train) == usable
    steps = range(len(usable))
    assert {int(sampler.training_crops(step).rows[0]) for step in steps} == usable
    test = set(corpus.rows("test"))
    assert not usable & test
