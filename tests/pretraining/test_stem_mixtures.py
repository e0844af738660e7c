"""Mixtures are sums of the right stems of different songs; validation uses the songs as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corpora import write_corpus
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.audio.samples import FULL_SCALE
from workflow_scripts.augmentations import none
from workflow_scripts.core.errors import UserError
from workflow_scripts.pretraining.crop_sampler import CropSampler
from workflow_scripts.pretraining.data_loader import BatchLoader, split_batch
from workflow_scripts.pretraining.stem_mixtures import Mix, Mixer
from workflow_scripts.workers import separation
from workflow_scripts.workers.separation import SOURCES

LENGTH = 4000
MIXES = {source: separation.mix(separation.Options(source=source)) for source in (*SOURCES, "all")}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpora") / "songs"
    return write_corpus(folder, clips=30, seconds=0.5, task="unlabelled", stems=SOURCES)


def build_sampler(corpus: Corpus, mix: Mix, *, batch: int = 3, seed: int = 1) -> CropSampler:
    return CropSampler(corpus, batch=batch, length=LENGTH, seed=seed, views=mix.size, mixed=True)


def build_loader(corpus: Corpus, mix: Mix) -> BatchLoader:
    return BatchLoader(
        corpus=corpus,
        features={},
        augmentation=none.build(none.Options(), sample_rate=16000),
        length=LENGTH,
        device=torch.device("cpu"),
        mixer=Mixer(corpus, mix),
    )


def read_stem(corpus: Corpus, name: str, row: int, start: int) -> np.ndarray:
    first = corpus.offsets[row] + start
    return corpus.stems[name][first : first + LENGTH].astype(float)


def test_the_tasks_mix_the_same_stems_as_the_official_code():
    assert {name: mix.sources for name, mix in MIXES.items()} == {
        **{name: (name,) for name in SOURCES},
        "all": ("vocals", "other", "drums", "bass"),
    }
    assert MIXES["bass"].pieces == ("bass", "bass", None, None)
    assert sorted(MIXES["all"].pieces) == sorted([*SOURCES, "vocals", "other", "drums"])


@settings(deadline=None, max_examples=15)
@given(name=st.sampled_from(sorted(MIXES)), step=st.integers(0, 50), batch=st.integers(2, 4))
def test_a_mixture_is_the_sum_of_stems_of_different_songs(corpus, name, step, batch):
    mix = MIXES[name]
    crops = build_sampler(corpus, mix, batch=batch).training_crops(step)
    mixtures, sources = Mixer(corpus, mix).read(crops.rows, starts=crops.starts, length=LENGTH, pieces=crops.views)
    for example in range(batch):
        stems = np.zeros((len(SOURCES), LENGTH))
        for piece, stem in enumerate(mix.pieces):
            row, start = crops.rows[piece * batch + example], crops.starts[piece * batch + example]
            for number, part in enumerate(SOURCES):
                if part == stem or (stem is None and part not in mix.sources):
                    stems[number] += read_stem(corpus, part, row, start)
        np.testing.assert_allclose(mixtures[example], stems.sum(axis=0), atol=0.01)
        for number, source in enumerate(mix.sources):
            np.testing.assert_allclose(sources[example, number], stems[SOURCES.index(source)], atol=0.01)


def test_the_pieces_of_an_example_are_of_different_songs_and_each_song_occurs_once_per_pass(corpus):
    mix = MIXES["vocals"]
    sampler = build_sampler(corpus, mix)
    rows = np.concatenate([sampler.training_crops(step).rows for step in range(3)])  # 36 of 18 songs
    assert sorted(rows[:18]) == sorted(rows[18:]) == sorted(sampler.train)
    assert all(
        len(set(sampler.training_crops(step).rows.reshape(mix.size, -1)[:, 0])) == mix.size for step in range(20)
    )


def test_validation_uses_the_songs_themselves(corpus):
    mix = MIXES["all"]
    sampler = build_sampler(corpus, mix)
    batches = sampler.validation_crops(2)
    assert [(len(crops.rows), crops.views) for crops in batches] == [(3, 1), (3, 1)]
    (batch,) = build_loader(corpus, mix).batches([(batches[0], 0)])
    for example, (row, start) in enumerate(zip(batches[0].rows, batches[0].starts, strict=True)):
        expected = corpus.cut(row, start=start, length=LENGTH)
        np.testing.assert_allclose(batch.clean[example], expected, atol=1e-6)
        for number, name in enumerate(mix.sources):
            wanted = read_stem(corpus, name, row, start) / FULL_SCALE
            np.testing.assert_allclose(batch.sources[example, number], wanted, atol=1e-6)


def test_batches_hold_one_view_and_sources_that_add_up(corpus):
    mix = MIXES["all"]
    (batch,) = build_loader(corpus, mix).batches([(build_sampler(corpus, mix).training_crops(0), 0)])
    assert (batch.views, batch.clean.shape, batch.sources.shape) == (1, (3, LENGTH), (3, 4, LENGTH))
    torch.testing.assert_close(batch.sources.sum(dim=1), batch.clean, atol=1e-6, rtol=0)


def test_shards_and_parts_keep_the_pieces_of_an_example_together(corpus):
    mix = MIXES["drums"]
    crops = build_sampler(corpus, mix, batch=4).training_crops(2)
    loader = build_loader(corpus, mix)
    (whole,) = loader.batches([(crops, 0)])
    parts = split_batch(whole, 2)
    for process in range(2):
        (shard,) = loader.batches([(crops.shard(process, processes=2, parts=2), 0)])
        for number, part in enumerate(split_batch(shard, 2)):
            torch.testing.assert_close(part.sources[0], parts[number].sources[process], rtol=0, atol=0)
            torch.testing.assert_close(part.clean[0], parts[number].clean[process], rtol=0, atol=0)


def test_a_corpus_without_the_stem_is_refused(tmp_path):
    corpus = write_corpus(tmp_path / "songs", clips=5, task="unlabelled", stems=["vocals"])
    Mixer(corpus, MIXES["vocals"])
    with pytest.raises(UserError, match="no stem bass"):
        Mixer(corpus, MIXES["bass"])
