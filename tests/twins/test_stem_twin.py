"""The twin of MUSDB18: the real loader reads every stem, they add up to the mixture, and each is what it is called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.audio.build import Wanted, build
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.datasets import musdb18
from workflow_scripts.synthesis.options import TwinOptions
from workflow_scripts.twins import musdb18 as twin

RATE = 16000


def prepared(root: Path, **given) -> Corpus:
    twin.write(root / "data", TwinOptions(**{"clips": 4, "clip_seconds": 2.0, **given}))
    index = musdb18.index(root / "data", musdb18.Options())
    wanted = Wanted(dataset="musdb18", source="twin", sample_rate=RATE)
    build(index, root=root / "data", output=root / "corpus", wanted=wanted, processes=2)
    return Corpus(root / "corpus")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    return prepared(tmp_path_factory.mktemp("musdb18"))


def test_each_song_is_read_whole_with_its_stems(corpus):
    assert corpus.facts.stems == ["vocals", "drums", "bass", "other"]
    assert corpus.clips["split"].value_counts().to_dict() == {"train": 2, "valid": 1, "test": 1}
    assert set(corpus.clips["clip"][corpus.clips["split"] == "valid"]) <= musdb18.VALIDATION
    assert list(corpus.lengths / RATE) == pytest.approx([2.0] * 4, abs=0.05)
    assert corpus.facts.quarantined == 0


def test_stems_add_up_to_the_mixture_as_far_as_the_codec_lets_them(corpus):
    total = np.sum([stem.astype(float) for stem in corpus.stems.values()], axis=0)
    mixture = corpus.samples.astype(float)
    assert np.square(total - mixture).mean() < 0.01 * np.square(mixture).mean()


def test_a_bass_is_low_and_drums_are_noisy(corpus):
    def share_above(hertz: float, name: str) -> float:
        power = np.abs(np.fft.rfft(corpus.stems[name].astype(float))) ** 2
        return float(power[np.fft.rfftfreq(len(corpus.samples), 1 / RATE) > hertz].sum() / power.sum())

    assert share_above(300, "bass") < 0.5 * share_above(300, "other")
    assert share_above(3000, "drums") > 10 * share_above(3000, "bass")


def test_equal_options_give_equal_files_and_others_give_others(tmp_path):
    def contents(seed: int, folder: str) -> dict[str, bytes]:
        twin.write(tmp_path / folder, TwinOptions(clips=2, clip_seconds=1.0, seed=seed))
        files = sorted((tmp_path / folder).rglob("*.mp4"))
        return {path.relative_to(tmp_path / folder).as_posix(): path.read_bytes() for path in files}

    first, again, other = contents(0, "a"), contents(0, "b"), contents(1, "c")
    assert first == again
    assert not set(first.values()) & set(other.values())


def test_defects_end_in_the_quarantine(tmp_path):
    corpus = prepared(tmp_path, defects=True, clips=3)
    table = pd.read_csv(corpus.folder / "quarantine.csv")
    assert len(corpus) == 3
    assert dict(zip(table["clip"], table["reason"], strict=True)) == {
        "Silent Tide - Half": "undecodable",
        "Silent Tide - Nothing": "silent",
    }


def test_few_singers_pause_and_bass_and_drums_always_sound():
    songs = twin._songs(TwinOptions(clips=200, clip_seconds=1.0))
    sources = [set(song.arrangement.sources) for song in songs]
    assert all({"bass", "drums", "other"} <= found for found in sources)
    assert 0.01 < np.mean(["vocals" not in found for found in sources]) < 0.12
    assert len({song.name for song in songs}) == 200
