"""Batches hold the audio, the stored features and the augmented views of their crops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.corpora import write_corpus
from tests.emulated_gpu import GPU, emulated_gpu
from tests.pretraining_runs import write_features
from workflow_scripts.augmentations import gain, none, polarity
from workflow_scripts.features.stored_features import StoredFeature
from workflow_scripts.networks.interfaces import Batch
from workflow_scripts.pretraining.crop_sampler import CropIndex, CropSampler
from workflow_scripts.pretraining.data_loader import BatchLoader, prefetch, split_batch

LENGTH = 8000


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    seconds = [0.3, 1.0, 1.2, 0.9, 0.5] * 6
    return write_corpus(tmp_path_factory.mktemp("corpora") / "tones", clips=30, seconds=seconds)


def build_loader(corpus, *, length: int = LENGTH, features=None, device="cpu", augmentation=None) -> BatchLoader:
    augmentation = augmentation or none.build(none.Options(), sample_rate=16000)
    return BatchLoader(
        corpus=corpus, features=features or {}, augmentation=augmentation, length=length, device=torch.device(device)
    )


def test_a_batch_holds_the_audio_of_its_crops(corpus):
    sampler = CropSampler(corpus, batch=3, length=LENGTH, seed=0)
    seeded_crops = [(sampler.training_crops(step), step) for step in range(5)]
    for (crops, _), batch in zip(seeded_crops, build_loader(corpus).batches(seeded_crops), strict=True):
        np.testing.assert_array_equal(batch.clean, corpus.cut_rows(crops.rows, starts=crops.starts, length=LENGTH))
        assert batch.audio is batch.clean


def test_short_clips_are_zero_padded(corpus):
    crops = CropIndex(rows=np.array([0, 3]), starts=np.array([0, 0]))
    batch = next(build_loader(corpus, length=32000).batches([(crops, 0)]))
    assert not batch.clean[:, 19200:].any()
    assert batch.clean[:, :4000].any()


def test_stored_features_line_up_with_the_crop(corpus, tmp_path):
    write_features(tmp_path / "f.npy", corpus, channels=2)
    stored = {"prosody": StoredFeature(tmp_path / "f.npy", corpus)}
    crops = CropIndex(rows=np.array([0, 7]), starts=np.array([0, 800]))
    features = next(build_loader(corpus, features=stored).batches([(crops, 0)])).precomputed["prosody"]
    assert features.shape == (2, 2, 51)
    np.testing.assert_allclose(features[0, :, :31], [np.arange(31), np.arange(31) + 0.1], rtol=1e-6)
    assert not features[0, :, 31:].any(), "clip 0 has 30 hops, so 31 frames"
    np.testing.assert_allclose(features[1, 0], 7000 + 5 + np.arange(51))


@pytest.mark.parametrize("one_sided", [False, True])
def test_all_views_are_augmented_or_only_the_first(corpus, one_sided):
    options = polarity.Options(one_sided=one_sided)
    crops = CropSampler(corpus, batch=3, length=LENGTH, seed=0, views=2).training_crops(0)
    loader = build_loader(corpus, augmentation=polarity.build(options, sample_rate=16000))
    batch = next(loader.batches([(crops, 7)]))
    assert batch.views == 2
    assert batch.clean.shape == (6, LENGTH)
    signs = torch.tensor([-1.0] * 3 + [1.0 if one_sided else -1.0] * 3)[:, None]
    assert torch.equal(batch.audio, batch.clean * signs)


def test_an_augmentation_depends_on_the_seed_of_its_batch(corpus):
    crops = CropSampler(corpus, batch=4, length=LENGTH, seed=0).training_crops(0)
    loader = build_loader(corpus, augmentation=gain.build(gain.Options(), sample_rate=16000))
    first, repeated, other = (batch.audio for batch in loader.batches([(crops, 1), (crops, 1), (crops, 2)]))
    assert torch.equal(first, repeated)
    assert not torch.allclose(first, other)


def test_the_parts_of_a_batch_hold_both_views_of_their_clips():
    audio = torch.arange(12.0)[:, None]  # clips 0 to 5, then their second views 6 to 11
    parts = split_batch(Batch(clean=audio, audio=audio, views=2), 3)
    assert [part.clean.flatten().tolist() for part in parts] == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]
    assert all(part.views == 2 for part in parts)


def test_the_parts_of_a_batch_hold_its_examples_in_order():
    clean, stored = torch.randn(6, 320), torch.randn(6, 4, 3)
    unaugmented, augmented = (
        split_batch(Batch(clean=clean, audio=audio, precomputed={"prosody": stored}), 3) for audio in (clean, -clean)
    )
    assert [len(part.clean) for part in unaugmented] == [2, 2, 2]
    assert all(part.audio is part.clean for part in unaugmented)
    assert torch.equal(torch.cat([part.audio for part in augmented]), -clean)
    assert torch.equal(torch.cat([part.clean for part in augmented]), clean)
    assert torch.equal(torch.cat([part.precomputed["prosody"] for part in augmented]), stored)


def test_batches_for_a_gpu_are_pinned_copied_on_a_stream_of_their_own_and_kept_for_the_computing_stream(
    corpus, tmp_path
):
    write_features(tmp_path / "f.npy", corpus, channels=2)
    stored = {"prosody": StoredFeature(tmp_path / "f.npy", corpus)}
    crops = CropIndex(rows=np.array([0, 7]), starts=np.array([0, 800]))
    (on_cpu,) = build_loader(corpus, features=stored).batches([(crops, 0)])
    audio, features = (2, LENGTH), (2, 2, 51)
    with emulated_gpu() as calls:
        (on_gpu,) = build_loader(corpus, features=stored, device="cuda").batches([(crops, 0)])
        assert calls == [
            ("enter", "side"),
            *[("pin_memory", audio), ("copy", audio), ("pin_memory", features), ("copy", features)],
            *[("record_event", "side"), ("leave", "side")],
            ("wait_event", "computing"),
            *[("record_stream", "computing")] * 2,
        ]
        assert on_gpu.clean.device == GPU
        assert torch.equal(on_gpu.clean.cpu(), on_cpu.clean)
        assert torch.equal(on_gpu.precomputed["prosody"].cpu(), on_cpu.precomputed["prosody"])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gets_the_same_batches_as_a_cpu(corpus, tmp_path):
    write_features(tmp_path / "f.npy", corpus, channels=2)
    stored = {"prosody": StoredFeature(tmp_path / "f.npy", corpus)}
    sampler = CropSampler(corpus, batch=8, length=LENGTH, seed=0)
    seeded_crops = [(sampler.training_crops(step), step) for step in range(20)]
    loaders = [build_loader(corpus, features=stored, device=device) for device in ("cpu", "cuda")]
    for on_cpu, on_gpu in zip(*(loader.batches(seeded_crops) for loader in loaders), strict=True):
        torch.cuda._sleep(10_000_000)  # cycles: keeps the GPU busy while batches are loaded and copied
        assert torch.equal(on_cpu.clean, on_gpu.clean.cpu())
        assert torch.equal(on_cpu.precomputed["prosody"], on_gpu.precomputed["prosody"].cpu())


def test_prefetching_keeps_the_order_and_raises_errors():
    assert list(prefetch(lambda number: number**2, range(10))) == [number**2 for number in range(10)]
    with pytest.raises(ZeroDivisionError):
        list(prefetch(lambda number: 1 // number, [1, 0]))
