"""Twins of the contrastive system's sets: labels follow from the music, odd rows are there, and all can be decoded."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from workflow_scripts.audio.build import CorpusSpec, build_corpus
from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets import billboard, gtzan, magnatagatune, msd
from workflow_scripts.levels import registry
from workflow_scripts.levels.dataset_index import DatasetIndex
from workflow_scripts.synthesis import write as writing
from workflow_scripts.synthesis.arrangements import STYLES, arrange
from workflow_scripts.twins import gtzan as gtzan_twin
from workflow_scripts.twins import magnatagatune as magnatagatune_twin
from workflow_scripts.twins import msd as msd_twin


def make(name: str, root: Path, **given) -> DatasetIndex:
    registry.load("twin", name).write(root, TwinOptions(**{"clip_seconds": 0.5, **given}))
    module = registry.load("dataset", name)
    return module.index(root, module.Options())


@pytest.fixture
def _stub_audio(monkeypatch):
    """Write every audio file as one byte: for tests that only read labels."""
    monkeypatch.setattr(writing, "encode_clip", lambda clip, seconds: b"." * (clip.defect != "empty"))
    monkeypatch.setattr(writing, "MIN_CLIPS_FOR_PROCESSES", 10**9)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.mark.usefixtures("_stub_audio")
def test_magnatagatune_says_the_same_in_both_tables_as_the_index_reads(tmp_path):
    index = make("magnatagatune", tmp_path, clips=300)
    annotations, info = rows(tmp_path / "annotations_final.csv"), rows(tmp_path / "clip_info_final.csv")
    assert len(annotations) == len(info) == len(index.clips) == 300
    assert [(row["clip_id"], row["mp3_path"]) for row in annotations] == [
        (row["clip_id"], row["mp3_path"]) for row in info
    ]
    assert len(annotations[0]) == 190
    for row, (_, labels) in zip(annotations, index.labels.iterrows(), strict=True):
        assert [float(row[tag]) for tag in magnatagatune.TAGS] == labels.to_list()
    by_song = index.clips.groupby("group").size()
    assert by_song.max() > 1  # there are songs to join
    assert index.clips["split"].value_counts(normalize=True).to_dict() == pytest.approx(
        {"train": 0.66, "valid": 0.14, "test": 0.2}, abs=0.04
    )


@pytest.mark.usefixtures("_stub_audio")
def test_magnatagatune_has_every_tag_in_training_and_test_and_some_clips_without(tmp_path):
    index = make("magnatagatune", tmp_path, clips=600)
    for split in ("train", "test"):
        held = index.labels[(index.clips["split"] == split).to_numpy()]
        assert (held.sum() > 0).all()
        assert (held.sum() < len(held)).all()
    untagged = (index.labels.sum(axis=1) == 0).to_numpy()
    assert untagged.mean() == pytest.approx(0.06, abs=0.03)
    filtered = magnatagatune.index(tmp_path, magnatagatune.Options(split="filtered"))
    assert filtered.clips["clip"].to_list() == index.clips["clip"][~untagged].to_list()


@pytest.mark.usefixtures("_stub_audio")
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(clips=st.integers(24, 150), seed=st.integers(0, 2**32))
def test_magnatagatune_of_any_size_has_all_splits_and_whole_songs_in_order(clips, seed):
    with tempfile.TemporaryDirectory() as folder:
        table = make("magnatagatune", Path(folder), clips=clips, seed=seed).clips
    assert len(table) == clips
    assert set(table["split"]) == {"train", "valid", "test"}
    assert table.groupby("group")["split"].nunique().max() == 1
    assert table["path"].is_unique
    starts = table["path"].str.extract(r"-(\d+)-\d+\.mp3$")[0].astype(int)
    assert starts.groupby(table["group"]).apply(lambda song: song.is_monotonic_increasing).all()


@pytest.mark.usefixtures("_stub_audio")
def test_magnatagatune_s_bad_clips_appear_with_defects(tmp_path):
    index = make("magnatagatune", tmp_path, clips=30, defects=True)
    assert set(index.excluded["clip"]) == {"035644", "055753", "057881"}
    assert len(index.clips) == 30


@pytest.mark.parametrize("twin", [magnatagatune_twin, msd_twin])
def test_every_tag_of_the_fifty_is_given_by_some_rule_and_none_contradicts_another(twin):
    spec = set(registry.load("dataset", twin.__name__.rpartition(".")[2]).TAGS)
    assert spec <= set(twin.TAGS)
    rng, given = np.random.default_rng(0), set()
    styles = twin.SHARES if twin is magnatagatune_twin else twin.STYLES
    for style in styles:
        for _ in range(60):
            tags = twin.tags_of(arrange(rng, style))
            assert tags <= set(twin.TAGS)
            for one, other in (("no vocals", "vocals"), ("instrumental", "male vocalists"), ("slow", "fast")):
                assert not {one, other} <= tags
            given |= tags
    assert spec <= given


@pytest.mark.usefixtures("_stub_audio")
def test_msd_has_tracks_without_audio_and_two_names_of_one_preview(tmp_path):
    index = make("msd", tmp_path, clips=200, defects=True)
    assert len(index.clips) == 200
    split, _ = msd.read_lists(tmp_path)
    assert len(split) == 211
    reasons = index.excluded["reason"].to_list()
    assert any(reason.startswith("the same preview as") for reason in reasons)
    assert reasons.count("the audio file is missing") == 10
    assert index.labels.sum().min() > 0


@pytest.mark.usefixtures("_stub_audio")
def test_gtzan_is_the_real_list_at_most(tmp_path):
    index = make("gtzan", tmp_path / "all", clips=930)
    assert index.clips["split"].value_counts().to_dict() == {"train": 443, "test": 290, "valid": 197}
    assert len(list((tmp_path / "all").rglob("*.wav"))) == 1000
    few = make("gtzan", tmp_path / "few", clips=40)
    assert few.labels.sum().to_list() == [4.0] * 10
    assert few.labels[(few.clips["split"] == "test").to_numpy()].sum().to_list() == [1.0] * 10
    with pytest.raises(UserError, match="at most 930"):
        make("gtzan", tmp_path / "more", clips=931)


def test_gtzan_is_mono_at_the_real_rate_and_its_broken_clip_is_quarantined(tmp_path):
    index = make("gtzan", tmp_path, clips=20, defects=True)
    info = soundfile.info(tmp_path / index.clips["path"][0])
    assert (info.samplerate, info.channels, info.subtype) == (22_050, 1, "PCM_16")
    assert set(index.clips["path"]) >= {"genres/jazz/jazz.00054.wav"}
    spec = CorpusSpec(dataset="gtzan", source="twin", sample_rate=16_000)
    facts = build_corpus(index, root=tmp_path, output=tmp_path / "corpus", spec=spec, processes=1)
    with (tmp_path / "corpus" / "quarantine.csv").open(encoding="utf-8", newline="") as file:
        quarantined = {row["clip"] for row in csv.DictReader(file)}
    assert "jazz.00054" in quarantined
    assert facts.clips == 21 - 4  # this one, and a silent, a truncated and an empty one


@pytest.mark.usefixtures("_stub_audio")
def test_billboard_has_slots_that_share_a_song_and_slots_without(tmp_path):
    index = make("billboard", tmp_path, clips=120)
    assert len(index.clips) == 120
    with (tmp_path / billboard.INDEX).open(encoding="utf-8", newline="") as file:
        slots = list(csv.DictReader(file))
    named = [row for row in slots if row["title"]]
    songs = {(row["artist"], row["title"]) for row in named}
    assert len(slots) > len(named) > len(songs) == 126
    assert index.notes == ("6 of 126 songs of the index have no audio file",)


def test_arrangements_play_what_they_state():
    rng = np.random.default_rng(1)
    for style in STYLES:
        arrangement = arrange(rng, style)
        piece = arrangement(np.random.default_rng(2), seconds=3.0)
        drums = [part for part in piece.parts if part.drums]
        assert len(drums) == arrangement.drums
        assert len(piece.parts) == len(arrangement.players) + arrangement.bass + arrangement.drums
        assert arrangement.players  # nobody is silent


def describe(path: Path) -> np.ndarray:
    """Means and deviations of twenty cepstral coefficients and of their changes."""
    audio, rate = soundfile.read(path, dtype="float32")
    coefficients = librosa.feature.mfcc(y=audio, sr=rate, n_mfcc=20)
    changes = np.abs(np.diff(coefficients, axis=1))
    return np.concatenate([coefficients.mean(axis=1), coefficients.std(axis=1), changes.mean(axis=1)])


def learn(name: str, root: Path, **given) -> tuple[DatasetIndex, np.ndarray]:
    """Scores of a plain classifier for the test clips, one column a class."""
    index = make(name, root, clip_seconds=2.0, **given)
    features = np.stack([describe(root / path) for path in index.clips["path"]])
    split, labels = index.clips["split"].to_numpy(), index.labels.to_numpy()
    scores = []
    for column in labels.T:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
        if len(set(column[split == "train"])) == 2:
            model.fit(features[split == "train"], column[split == "train"])
            scores.append(model.decision_function(features[split == "test"]))
        else:
            scores.append(np.zeros((split == "test").sum()))
    return index, np.stack(scores, axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["magnatagatune", "msd"])
def test_tags_can_be_learned(name, tmp_path):
    index, scores = learn(name, tmp_path, clips=250)
    truth = index.labels[(index.clips["split"] == "test").to_numpy()].to_numpy()
    areas = [
        roc_auc_score(column, score)
        for column, score in zip(truth.T, scores.T, strict=True)
        if 0 < column.sum() < len(column)
    ]
    assert len(areas) > 35
    assert (
        np.mean(areas) > 0.72
    )  # 0.5 is chance; 0.85 and 0.81 were measured, and some fifty test clips leave some hundredths of play


@pytest.mark.slow
def test_genres_can_be_learned(tmp_path):
    index, scores = learn("gtzan", tmp_path, clips=150)
    truth = index.labels[(index.clips["split"] == "test").to_numpy()].to_numpy().argmax(axis=1)
    accuracy = np.mean(scores.argmax(axis=1) == truth)
    assert (
        0.4 < accuracy < 0.98
    )  # 0.1 is chance, 0.61 was measured; a twin that is solved at once would compare nothing
    assert set(gtzan.read_list()["genre"]) == set(gtzan_twin.GENRES)
