"""Batches are drawn from counters alone, and stored features belong to the audio of their cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.corpora import write_corpus
from tests.pretraining_runs import write_features
from workflow_scripts.augmentations import gain, none, polarity
from workflow_scripts.core.errors import UserError
from workflow_scripts.features.stored import StoredFeature
from workflow_scripts.networks.interfaces import Batch
from workflow_scripts.pretraining.sampling import BatchLoader, Cuts, Cutter, ahead, parts_of

LENGTH = 8000


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    seconds = [0.3, 1.0, 1.2, 0.9, 0.5] * 6
    return write_corpus(tmp_path_factory.mktemp("corpora") / "tones", clips=30, seconds=seconds)


def same(first: Cuts, second: Cuts) -> bool:
    return np.array_equal(first.rows, second.rows) and np.array_equal(first.starts, second.starts)


@settings(deadline=None, max_examples=25)
@given(batch=st.integers(2, 40), step=st.integers(0, 500), seed=st.integers(0, 2**31))
def test_any_step_is_known_without_the_steps_before_it(corpus, batch, step, seed):
    fresh, used = (Cutter(corpus, batch=batch, length=LENGTH, seed=seed) for _ in range(2))
    for earlier in (0, step // 2, step + 7):
        used.training(earlier)
    assert same(fresh.training(step), used.training(step))
    cuts = fresh.training(step)
    assert set(corpus.clips["split"].to_numpy()[cuts.rows]) == {"train"}
    assert (cuts.starts % 160 == 0).all()
    assert (cuts.starts + LENGTH <= corpus.lengths[cuts.rows]).all()


def test_each_clip_comes_once_before_any_comes_again_and_orders_differ(corpus):
    cutter = Cutter(corpus, batch=4, length=LENGTH, seed=1)
    clips = len(cutter.train)
    drawn = np.concatenate([cutter.training(step).rows for step in range(clips)]).reshape(-1, clips)
    assert all(sorted(order) == sorted(cutter.train) for order in drawn)
    assert len({tuple(order) for order in drawn}) == len(drawn)


def test_steps_and_seeds_differ(corpus):
    cutter, other = (Cutter(corpus, batch=8, length=4000, seed=seed) for seed in (1, 2))
    assert not same(cutter.training(0), cutter.training(1))
    assert not same(cutter.training(0), other.training(0))


def test_starts_reach_both_ends_of_a_clip(tmp_path):
    corpus = write_corpus(tmp_path / "c", clips=5, seconds=1.0)
    cutter = Cutter(corpus, batch=8, length=16000 - 320, seed=1)
    starts = np.concatenate([cutter.training(step).starts for step in range(20)])
    assert set(starts) == {0, 160, 320}


def test_short_clips_are_left_out_while_there_are_long_ones(corpus):
    cutter = Cutter(corpus, batch=2, length=LENGTH, seed=0)
    assert (corpus.lengths[cutter.train] >= LENGTH).all()
    assert cutter.too_short == 6


@settings(deadline=None, max_examples=25)
@given(processes=st.integers(1, 4), parts=st.integers(1, 4), examples=st.integers(1, 3), views=st.integers(1, 2))
def test_the_shares_of_all_processes_are_the_batch_part_by_part(corpus, processes, parts, examples, views):
    batch = processes * parts * examples
    assume(views == 1 or batch <= 12)  # clips that are long enough
    cuts = Cutter(corpus, batch=batch, length=LENGTH, seed=1, views=views).training(3)
    shares = [cuts.share(process, processes=processes, parts=parts) for process in range(processes)]
    for name in ("rows", "starts"):
        by_view = getattr(cuts, name).reshape(views, -1)
        own = [getattr(share, name).reshape(views, -1) for share in shares]
        for part in range(parts):
            whole, each = (slice(part * size, (part + 1) * size) for size in (processes * examples, examples))
            together = np.concatenate([share[:, each] for share in own], axis=1)
            np.testing.assert_array_equal(together, by_view[:, whole])


def test_two_views_of_a_clip_are_two_independent_pieces_of_it(corpus):
    cutter = Cutter(corpus, batch=8, length=4000, seed=1, views=2)
    cuts = [cutter.training(step) for step in range(50)]
    assert all(np.array_equal(*cut.rows.reshape(2, 8)) for cut in cuts)
    places = [(cut.starts / (corpus.lengths[cut.rows] - 4000)).reshape(2, 8) for cut in cuts]
    assert abs(np.corrcoef(np.concatenate(places, axis=1))[0, 1]) < 0.15  # 3 deviations for 400 pairs
    alone = Cutter(corpus, batch=8, length=4000, seed=1)
    first_pass = cuts[: cutter.steps_per_pass]  # later ones leave out an incomplete batch
    assert all(np.array_equal(cut.rows[:8], alone.training(step).rows) for step, cut in enumerate(first_pass))


@pytest.mark.parametrize("batch", [5, 7])
def test_no_clip_is_told_from_itself(corpus, batch):
    cutter = Cutter(corpus, batch=batch, length=LENGTH, seed=1, views=2)
    assert len(cutter.train) % batch, "or no batch would reach over the end of a pass"
    for step in range(40):
        first, second = cutter.training(step).rows.reshape(2, batch)
        assert len(set(first)) == batch
        assert np.array_equal(first, second)
    first_pass = np.concatenate([cutter.training(step).rows[:batch] for step in range(cutter.steps_per_pass)])
    assert len(set(first_pass)) == len(first_pass)


def test_a_batch_of_more_clips_than_there_are_is_refused_where_they_are_told_apart(corpus):
    clips = len(Cutter(corpus, batch=1, length=LENGTH, seed=1).train)
    Cutter(corpus, batch=clips + 1, length=LENGTH, seed=1)
    Cutter(corpus, batch=clips, length=LENGTH, seed=1, views=2)
    with pytest.raises(UserError, match=rf"{clips} clips in its train split, and batches of {clips + 1} would tell"):
        Cutter(corpus, batch=clips + 1, length=LENGTH, seed=1, views=2)


def test_parts_of_a_batch_have_both_views_of_their_clips():
    audio = torch.arange(12.0)[:, None]  # clips 0 to 5, then their second views 6 to 11
    parts = parts_of(Batch(clean=audio, audio=audio, views=2), 3)
    assert [part.clean.flatten().tolist() for part in parts] == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]
    assert all(part.views == 2 for part in parts)


@pytest.mark.parametrize("one_sided", [False, True])
def test_all_views_are_augmented_or_the_first_alone(corpus, one_sided):
    options = polarity.Options(one_sided=one_sided)
    cutter = Cutter(corpus, batch=3, length=LENGTH, seed=0, views=2)
    loaded = loader(corpus, length=LENGTH, augmentation=polarity.build(options, sample_rate=16000))
    batch = next(loaded.batches([(cutter.training(0), 7)]))
    assert batch.views == 2
    assert batch.clean.shape == (6, LENGTH)
    signs = torch.tensor([-1.0] * 3 + [1.0 if one_sided else -1.0] * 3)[:, None]
    assert torch.equal(batch.audio, batch.clean * signs)


def test_an_augmentation_depends_on_the_seed_of_its_batch(corpus):
    cuts = Cutter(corpus, batch=4, length=LENGTH, seed=0).training(0)
    loaded = loader(corpus, length=LENGTH, augmentation=gain.build(gain.Options(), sample_rate=16000))
    first, again, other = (batch.audio for batch in loaded.batches([(cuts, 1), (cuts, 1), (cuts, 2)]))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_parts_of_a_batch_are_its_examples_in_order(corpus):
    clean, stored = torch.randn(6, 320), torch.randn(6, 4, 3)
    same, other = (
        parts_of(Batch(clean=clean, audio=audio, precomputed={"prosody": stored}), 3) for audio in (clean, -clean)
    )
    assert [len(part.clean) for part in same] == [2, 2, 2]
    assert all(part.audio is part.clean for part in same)
    assert torch.equal(torch.cat([part.audio for part in other]), -clean)
    assert torch.equal(torch.cat([part.clean for part in other]), clean)
    assert torch.equal(torch.cat([part.precomputed["prosody"] for part in other]), stored)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gets_the_batches_of_a_cpu(corpus, tmp_path):
    write_features(tmp_path / "f.npy", corpus, channels=2)
    stored = {"prosody": StoredFeature(tmp_path / "f.npy", corpus)}
    cutter = Cutter(corpus, batch=8, length=LENGTH, seed=0)
    plan = [(cutter.training(step), step) for step in range(20)]
    devices = ["cpu", "cuda"]
    both = [loader(corpus, length=LENGTH, features=stored, device=device).batches(plan) for device in devices]
    for here, there in zip(*both, strict=True):
        torch.cuda._sleep(10_000_000)  # cycles: a busy GPU, whose batches are loaded and copied meanwhile
        assert torch.equal(here.clean, there.clean.cpu())
        assert torch.equal(here.precomputed["prosody"], there.precomputed["prosody"].cpu())


def test_where_all_clips_are_short_they_are_used_with_zeros_behind(corpus):
    cutter = Cutter(corpus, batch=2, length=32000, seed=0)
    assert len(cutter.train) == len(corpus.rows("train"))
    batch = next(loader(corpus, length=32000).batches([(cutter.training(0), 0)]))
    assert not batch.clean[:, 19200:].any()
    assert batch.clean[:, :4000].any()


def test_an_epoch_is_counted_as_in_the_official_code(corpus):
    total = corpus.lengths[corpus.rows("train")].sum()
    assert Cutter(corpus, batch=4, length=LENGTH, seed=0).steps_per_epoch == total // LENGTH // 4
    assert Cutter(corpus, batch=1000, length=LENGTH, seed=0).steps_per_epoch == 1


def test_a_pass_hears_each_clip_once_but_for_an_incomplete_batch(corpus):
    cutter = Cutter(corpus, batch=5, length=LENGTH, seed=0)
    assert cutter.steps_per_pass == len(cutter.train) // 5
    assert Cutter(corpus, batch=1000, length=LENGTH, seed=0).steps_per_pass == 1


def test_validation_is_the_same_for_every_run(corpus):
    first, second = (Cutter(corpus, batch=4, length=LENGTH, seed=seed).validation(3) for seed in (1, 2))
    assert all(same(one, other) for one, other in zip(first, second, strict=True))
    rows = np.concatenate([cuts.rows for cuts in first])
    assert set(corpus.clips["split"].to_numpy()[rows]) == {"valid"}
    assert set(rows) == set(corpus.rows("valid")), "with fewer clips than places, all come up"


@pytest.mark.parametrize("split", ["train", "valid"])
def test_an_empty_split_is_a_clear_error(tmp_path, split):
    corpus = write_corpus(tmp_path / "c", clips=5)
    corpus.clips["split"] = "test" if split == "train" else "train"
    with pytest.raises(UserError, match=f"no clips in its {split} split"):
        Cutter(corpus, batch=2, length=LENGTH, seed=0).validation(1)


def test_batches_hold_the_audio_of_their_cuts(corpus):
    cutter = Cutter(corpus, batch=3, length=LENGTH, seed=0)
    plan = [(cutter.training(step), step) for step in range(5)]
    for (cuts, _), batch in zip(plan, loader(corpus, length=LENGTH).batches(plan), strict=True):
        np.testing.assert_array_equal(batch.clean, corpus.cut_rows(cuts.rows, starts=cuts.starts, length=LENGTH))
        assert batch.audio is batch.clean


def test_stored_features_are_those_of_the_cut(corpus, tmp_path):
    write_features(tmp_path / "f.npy", corpus, channels=2)
    stored = {"prosody": StoredFeature(tmp_path / "f.npy", corpus)}
    cuts = Cuts(rows=np.array([0, 7]), starts=np.array([0, 800]))
    found = next(loader(corpus, length=LENGTH, features=stored).batches([(cuts, 0)])).precomputed["prosody"]
    assert found.shape == (2, 2, 51)
    np.testing.assert_allclose(found[0, :, :31], [np.arange(31), np.arange(31) + 0.1], rtol=1e-6)
    assert not found[0, :, 31:].any(), "clip 0 has 30 hops, so 31 frames"
    np.testing.assert_allclose(found[1, 0], 7000 + 5 + np.arange(51))


def test_loading_ahead_keeps_the_order_and_passes_errors_on():
    assert list(ahead(lambda number: number**2, range(10))) == [number**2 for number in range(10)]
    with pytest.raises(ZeroDivisionError):
        list(ahead(lambda number: 1 // number, [1, 0]))


def loader(corpus, *, length: int, features=None, device="cpu", augmentation=None) -> BatchLoader:
    augmentation = augmentation or none.build(none.Options(), sample_rate=16000)
    return BatchLoader(
        corpus=corpus, features=features or {}, augmentation=augmentation, length=length, device=torch.device(device)
    )
