"""Mixtures are the sums of the right stems of different songs, and validation hears songs as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corpora import write_corpus
from workflow_scripts.audio.corpus import FULL_SCALE, Corpus
from workflow_scripts.augmentations import none
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels import registry
from workflow_scripts.pretraining.sampling import BatchLoader, Cutter, parts_of
from workflow_scripts.pretraining.stem_mixtures import Mix, Mixer
from workflow_scripts.workers._separation import FOUR

LENGTH = 4000
MIXES = {name: registry.load("worker", name).MIX for name in registry.names("worker") if name.startswith("separation_")}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpora") / "songs"
    return write_corpus(folder, clips=30, seconds=0.5, task="unlabelled", stems=FOUR)


def cutter_for(corpus: Corpus, mix: Mix, *, batch: int = 3, seed: int = 1) -> Cutter:
    return Cutter(corpus, batch=batch, length=LENGTH, seed=seed, views=mix.size, mixed=True)


def loader_for(corpus: Corpus, mix: Mix) -> BatchLoader:
    return BatchLoader(
        corpus=corpus,
        features={},
        augmentation=none.build(none.Options(), sample_rate=16000),
        length=LENGTH,
        device=torch.device("cpu"),
        mixer=Mixer(corpus, mix),
    )


def stem(corpus: Corpus, name: str, row: int, start: int) -> np.ndarray:
    first = corpus.offsets[row] + start
    return corpus.stems[name][first : first + LENGTH].astype(float)


def test_the_tasks_mix_what_the_code_mixes():
    assert {name: mix.sources for name, mix in MIXES.items()} == {
        **{f"separation_{name}": (name,) for name in FOUR},
        "separation_multiple": ("vocals", "other", "drums", "bass"),
    }
    assert MIXES["separation_bass"].pieces == ("bass", "bass", None, None)
    assert sorted(MIXES["separation_multiple"].pieces) == sorted([*FOUR, "vocals", "other", "drums"])


@settings(deadline=None, max_examples=15)
@given(name=st.sampled_from(sorted(MIXES)), step=st.integers(0, 50), batch=st.integers(2, 4))
def test_a_mixture_is_the_sum_of_stems_of_different_songs(corpus, name, step, batch):
    mix = MIXES[name]
    cuts = cutter_for(corpus, mix, batch=batch).training(step)
    mixtures, sources = Mixer(corpus, mix).read(cuts.rows, starts=cuts.starts, length=LENGTH, pieces=cuts.views)
    for example in range(batch):
        heard = np.zeros((len(FOUR), LENGTH))
        for piece, what in enumerate(mix.pieces):
            row, start = cuts.rows[piece * batch + example], cuts.starts[piece * batch + example]
            for number, part in enumerate(FOUR):
                if part == what or (what is None and part not in mix.sources):
                    heard[number] += stem(corpus, part, row, start)
        np.testing.assert_allclose(mixtures[example], heard.sum(axis=0), atol=0.01)
        for number, source in enumerate(mix.sources):
            np.testing.assert_allclose(sources[example, number], heard[FOUR.index(source)], atol=0.01)


def test_pieces_of_an_example_are_of_different_songs_and_each_comes_once_a_pass(corpus):
    mix = MIXES["separation_vocals"]
    cutter = cutter_for(corpus, mix)
    rows = np.concatenate([cutter.training(step).rows for step in range(3)])  # 36 of 18 songs
    assert sorted(rows[:18]) == sorted(rows[18:]) == sorted(cutter.train)
    assert all(len(set(cutter.training(step).rows.reshape(mix.size, -1)[:, 0])) == mix.size for step in range(20))


def test_validation_hears_the_songs_themselves(corpus):
    mix = MIXES["separation_multiple"]
    cutter = cutter_for(corpus, mix)
    cuts = cutter.validation(2)
    assert [(len(cut.rows), cut.views) for cut in cuts] == [(3, 1), (3, 1)]
    (batch,) = loader_for(corpus, mix).batches([(cuts[0], 0)])
    for example, (row, start) in enumerate(zip(cuts[0].rows, cuts[0].starts, strict=True)):
        expected = corpus.cut(row, start=start, length=LENGTH)
        np.testing.assert_allclose(batch.clean[example], expected, atol=1e-6)
        for number, name in enumerate(mix.sources):
            wanted = stem(corpus, name, row, start) / FULL_SCALE
            np.testing.assert_allclose(batch.sources[example, number], wanted, atol=1e-6)


def test_batches_hold_one_view_and_sources_that_add_up(corpus):
    mix = MIXES["separation_multiple"]
    (batch,) = loader_for(corpus, mix).batches([(cutter_for(corpus, mix).training(0), 0)])
    assert (batch.views, batch.clean.shape, batch.sources.shape) == (1, (3, LENGTH), (3, 4, LENGTH))
    torch.testing.assert_close(batch.sources.sum(dim=1), batch.clean, atol=1e-6, rtol=0)


def test_shares_of_processes_and_parts_keep_the_pieces_of_an_example_together(corpus):
    mix = MIXES["separation_drums"]
    cuts = cutter_for(corpus, mix, batch=4).training(2)
    loader = loader_for(corpus, mix)
    (whole,) = loader.batches([(cuts, 0)])
    parts = parts_of(whole, 2)
    for process in range(2):
        (share,) = loader.batches([(cuts.share(process, processes=2, parts=2), 0)])
        for number, part in enumerate(parts_of(share, 2)):
            torch.testing.assert_close(part.sources[0], parts[number].sources[process], rtol=0, atol=0)
            torch.testing.assert_close(part.clean[0], parts[number].clean[process], rtol=0, atol=0)


def test_a_corpus_without_the_stem_is_refused(tmp_path):
    corpus = write_corpus(tmp_path / "songs", clips=5, task="unlabelled", stems=["vocals"])
    Mixer(corpus, MIXES["separation_vocals"])
    with pytest.raises(UserError, match="no stem bass"):
        Mixer(corpus, MIXES["separation_bass"])
