"""Recall on planted versions and false alarms on distinct recordings, and what the index promises."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checkout import SHARED, needs_shared
from tests.leakage.corpora import RATE, as_int16, half, music, noisy, quieter, resampled, shifted, through_codec
from workflow_scripts.leakage.fingerprint import BANDS, SHIFTS, SILENT, TABLES, Fingerprinter, lookup_keys
from workflow_scripts.leakage.search import MIN_FRAMES, FingerprintIndex

CLIPS, SECONDS = 100, 3.0  # the shortest clips a published system uses: half of one is the hardest to recognise
CHANGES = {
    "a semitone up": [shifted(1)],
    "a semitone down": [shifted(-1)],
    "a third of a semitone up": [shifted(0.33)],
    "three quarters of a semitone down": [shifted(-0.75)],
    "half, from anywhere": [half],
    "18 dB quieter": [quieter],
    "noise at 20 dB": [noisy],
    "through 8 kHz": [resampled],
    "half and noise": [half, noisy],
    "half, half a semitone up": [half, shifted(0.5)],
}
CODECS = {"mp3, 64 kbit/s": ("mp3", "-b:a", "64k"), "ogg": ("ogg",)}
RECALL = 0.99
fingerprint = Fingerprinter(RATE)


def index_of(clips):
    return FingerprintIndex([fingerprint(clip).codes[SHIFTS.index(0)] for clip in clips])


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return music(tmp_path_factory.mktemp("music"), clips=CLIPS, seconds=SECONDS)


@pytest.fixture(scope="module")
def index(clips):
    return index_of(clips)


def found(index, versions):
    """Share of versions found, and pairs of one clip with a version of another."""
    matches = [index.search(fingerprint(as_int16(version))) for version in versions]
    recall = np.mean([any(match.indexed == row for match in each) for row, each in enumerate(matches)])
    return recall, sum(match.indexed != row for row, each in enumerate(matches) for match in each)


@pytest.mark.slow
def test_planted_versions_are_found_and_nothing_else(clips, index, tmp_path):
    random = np.random.default_rng(0)
    plain = [clip / np.float32(32768) for clip in clips]
    versions = {name: through_codec(plain, tmp_path, *codec) for name, codec in CODECS.items()}
    for name, changes in CHANGES.items():
        versions[name] = plain
        for change in changes:
            versions[name] = [change(clip, random) for clip in versions[name]]
    figures = {name: found(index, each) for name, each in versions.items()}
    print(figures)
    assert {name: recall for name, (recall, _) in figures.items() if recall < RECALL} == {}
    alarms = sum(false for _, false in figures.values())
    assert alarms <= 1e-4 * len(figures) * len(clips) * (len(clips) - 1), figures


@needs_shared
@pytest.mark.slow
def test_false_alarms_on_real_music_are_rare():
    with (SHARED / "audio" / "manifest.csv").open(encoding="utf-8", newline="") as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    chosen = [path for path in paths if path.startswith(("unlabelled/", "labelled/style_loops/"))]
    chosen.remove("unlabelled/librosa/sorohanro_-_solo-trumpet-06.ogg")  # the same as ...-06.hq.ogg
    prints = [fingerprint(as_int16(recording(path))) for path in chosen]
    index = FingerprintIndex([each.codes[SHIFTS.index(0)] for each in prints])
    pairs = {(min(row, m.indexed), max(row, m.indexed)) for row, each in enumerate(prints) for m in index.search(each)}
    alarms = [(chosen[one], chosen[other]) for one, other in pairs if one != other]
    print(alarms)
    assert len(chosen) > 100
    assert len(alarms) <= 2, alarms  # of 5,253 pairs: drum loops can be alike


def recording(path):
    audio, rate = soundfile.read(SHARED / "audio" / path, dtype="float32", always_2d=True)
    audio = soxr.resample(audio.mean(axis=1), rate, RATE)
    return audio[max(0, (len(audio) - 10 * RATE) // 3) :][: 10 * RATE]


def test_a_match_says_how_the_versions_differ(clips, index):
    (match,) = index.search(fingerprint(clips[3][RATE:]))
    assert (match.indexed, match.semitones) == (3, 0)
    assert match.similarity > 0.8
    assert match.seconds == pytest.approx(1, abs=0.05)
    (match,) = index.search(fingerprint(as_int16(shifted(1)(clips[3] / np.float32(32768), None))))
    assert (match.indexed, match.semitones) == (3, 1)
    assert match.seconds == pytest.approx(0, abs=0.05)


def test_other_sample_rates_can_be_compared(clips, index):
    faster = as_int16(soxr.resample(clips[5] / np.float32(32768), RATE, 22_050))
    (match,) = index.search(Fingerprinter(22_050)(faster))
    assert match.indexed == 5
    assert match.similarity > 0.9


def test_silence_matches_nothing(clips):
    quiet = np.zeros(3 * RATE, np.int16)
    partly = np.concatenate([clips[0], np.zeros(10 * RATE, np.int16)])
    index = index_of([quiet, partly, np.concatenate([clips[1], np.zeros(10 * RATE, np.int16)]), quiet])
    assert index.too_short == 2
    assert index.search(fingerprint(quiet)) == []
    assert [match.indexed for match in index.search(fingerprint(partly))] == [1]
    assert fingerprint(quiet).codes.tolist() == [[SILENT] * 73] * len(SHIFTS)


def test_clips_too_short_are_not_compared(clips):
    for samples in (0, 1, 4000, 12_000, 24_000 - 4_000):
        short = clips[0][:samples]
        assert fingerprint(short).codes.shape[1] < MIN_FRAMES
        assert index_of([short, clips[0]]).search(fingerprint(short)) == []
    assert FingerprintIndex([]).search(fingerprint(clips[0])) == []


def test_a_key_of_too_many_frames_is_passed_over(clips, monkeypatch):
    monkeypatch.setattr("workflow_scripts.leakage.search.MAX_FRAMES_PER_KEY", 2)
    assert index_of([clips[0]] * 3).search(fingerprint(clips[0])) == []
    assert len(index_of([clips[0]] * 2).search(fingerprint(clips[0]))) == 2


def test_work_in_pieces_gives_the_same(clips, index, monkeypatch):
    whole = [index.search(fingerprint(clip)) for clip in clips[:10]]
    for name in ("HITS_AT_ONCE", "FRAMES_AT_ONCE", "PLACES_AT_ONCE"):
        monkeypatch.setattr(f"workflow_scripts.leakage.search.{name}", 50)
    assert [index_of(clips).search(fingerprint(clip)) for clip in clips[:10]] == whole


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**64 - 1))
def test_keys_hold_bits_of_the_code(code):
    (row,) = lookup_keys(np.array([code], np.uint64))
    bits = [code >> i & 1 for i in range(64)]
    for table in range(TABLES):
        own = bits[table::TABLES][:21]
        assert row[table] == sum(bit << i for i, bit in enumerate(own))


def test_the_first_probe_is_the_key_of_the_code(clips):
    made = fingerprint(clips[0])
    np.testing.assert_array_equal(made.probes[..., 0], lookup_keys(made.codes[:, ::4]))
    different = np.bitwise_count(made.probes ^ made.probes[..., :1])
    assert different.max() == 3
    assert len(np.unique(made.probes[0, 0, 0])) == 8


def test_a_band_is_as_loud_as_the_tone_in_it():
    time = np.arange(2 * RATE) / RATE
    tone = np.sin(2 * np.pi * 180 * 2 ** (40 / 24) * time)  # band 40, which is number 42: two lie below the first
    assert fingerprint.spectrogram(tone).shape[1] == BANDS + 4
    assert set(fingerprint.spectrogram(tone).argmax(axis=1)) == {42}
