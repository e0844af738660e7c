"""The twin of MUSDB18: the real loader reads every stem, they add up to the mixture, and each is what it is called."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.audio import ffmpeg
from workflow_scripts.audio.build import CorpusSpec, build_corpus
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.datasets import musdb18
from workflow_scripts.twins import musdb18 as twin

RATE = 16000


def prepare(root: Path, **given) -> Corpus:
    twin.write(root / "data", TwinOptions(**{"clips": 4, "clip_seconds": 2.0, **given}))
    return read_corpus(root)


def read_corpus(root: Path) -> Corpus:
    index = musdb18.index(root / "data", musdb18.Options())
    spec = CorpusSpec(dataset="musdb18", source="twin", sample_rate=RATE)
    build_corpus(index, root=root / "data", output=root / "corpus", spec=spec, processes=2)
    return Corpus(root / "corpus")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    return prepare(tmp_path_factory.mktemp("musdb18"))


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


def test_the_wavs_of_the_uncompressed_copy_are_read_as_the_same_songs(corpus, tmp_path):
    published = corpus.folder.parent / "data"
    for song in published.rglob("*.stem.mp4"):
        write_wavs(song, tmp_path / "data" / song.relative_to(published).parent / song.name.removesuffix(".stem.mp4"))
    wavs = read_corpus(tmp_path)
    assert wavs.facts.quarantined == 0
    pd.testing.assert_frame_equal(wavs.clips, corpus.clips)
    assert list(wavs.stems) == list(corpus.stems)
    for ours, theirs in [(wavs.samples, corpus.samples), *zip(wavs.stems.values(), corpus.stems.values(), strict=True)]:
        assert np.abs(ours.astype(int) - theirs).max() <= 1, "wavs are rounded to 16 bits"
        assert np.abs(theirs).max() > 1000


def write_wavs(song: Path, folder: Path) -> None:
    """Write the streams of a .stem.mp4 as MUSDB18-HQ has them: stereo wavs of 16 bits."""
    folder.mkdir(parents=True)
    stereo = ("-af", "pan=stereo|c0=c0|c1=c0")  # "-ac 2" would make either channel quieter
    streams = {musdb18.MIXTURE: 0, **musdb18.STREAMS}
    wavs = [
        part
        for name, stream in streams.items()
        for part in ("-map", f"0:a:{stream}", *stereo, "-c:a", "pcm_s16le", str(folder / f"{name}.wav"))
    ]
    subprocess.run([ffmpeg.find_program(), "-nostdin", "-loglevel", "error", "-i", str(song), *wavs], check=True)


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
    corpus = prepare(tmp_path, defects=True, clips=3)
    table = pd.read_csv(corpus.folder / "quarantine.csv")
    assert len(corpus) == 3
    assert dict(zip(table["clip"], table["reason"], strict=True)) == {
        "Silent Tide - Half": "undecodable",
        "Silent Tide - Nothing": "silent",
    }


def test_few_singers_pause_and_bass_and_drums_always_sound():
    songs = twin._draw_songs(TwinOptions(clips=200, clip_seconds=1.0))
    sources = [set(song.arrangement.sources) for song in songs]
    assert all({"bass", "drums", "other"} <= stems for stems in sources)
    assert 0.01 < np.mean(["vocals" not in stems for stems in sources]) < 0.12
    assert len({song.name for song in songs}) == 200
