"""Planted overlaps are overlaps, within a data set and with a corpus for pre-training."""

from __future__ import annotations

import numpy as np
import pytest

from tests.leakage.corpora import RATE, add_noise, render_music, shift_pitch, to_int16, write_corpus
from workflow_scripts.leakage.exact import digest_samples
from workflow_scripts.leakage.overlaps import Audit, AuditedCorpus, Catalogue

FREE = Catalogue(name="free", pattern=r"(\d{3})(?!\d)")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return render_music(tmp_path_factory.mktemp("music"), clips=16, seconds=3.0)


def summarise(overlaps):
    return {(overlap.kind, overlap.clip, overlap.other_clip, overlap.leak) for overlap in overlaps}


def find_within(corpus, *, catalogue=None, threads=1):
    return Audit(AuditedCorpus(corpus, catalogue=catalogue), threads=threads).find_within()


def test_distinct_clips_do_not_overlap(clips, tmp_path):
    names = [f"c{number}" for number in range(12)]
    corpus = write_corpus(tmp_path / "set", clips[:12], names=names, splits=["train", "valid", "test"] * 4)
    assert find_within(corpus) == []


def test_equal_samples_are_found_whatever_silence_surrounds_them(clips, tmp_path):
    silence = np.zeros(RATE // 3, np.int16)
    planted = [clips[0], np.concatenate([silence, clips[0], silence]), clips[1], clips[2], clips[0]]
    splits = ["train", "test", "test", "train", "train"]
    overlaps = find_within(write_corpus(tmp_path / "set", planted, names=list("abcde"), splits=splits))
    assert summarise(overlaps) == {
        ("exact", "a", "b", True),
        ("exact", "a", "e", False),
        ("exact", "b", "e", True),
    }


def test_short_and_silent_clips_match_only_exactly(clips, tmp_path):
    click, silence = clips[0][8000:8400], np.zeros(RATE, np.int16)
    names, splits = list("abcd"), ["train", "test", "train", "test"]
    audit = Audit(
        AuditedCorpus(write_corpus(tmp_path / "set", [click, click, silence, silence], names=names, splits=splits)),
        threads=1,
    )
    assert summarise(audit.find_within()) == {("exact", "a", "b", True)}
    assert audit.index.too_short == 4


def test_near_duplicates_are_reported_with_pitch_and_time_differences(clips, tmp_path):
    audio = clips[3] / np.float32(32768)
    higher = to_int16(add_noise(shift_pitch(1)(audio, None), np.random.default_rng(0)))
    planted = [*clips[:4], higher, clips[2][RATE:]]
    splits = ["train", "train", "test", "train", "test", "test"]
    overlaps = find_within(write_corpus(tmp_path / "set", planted, names=list("abcdef"), splits=splits))
    assert summarise(overlaps) == {("near", "d", "e", True), ("near", "c", "f", False)}
    by_clip = {overlap.clip: overlap for overlap in overlaps}
    assert by_clip["d"].semitones == 1
    assert by_clip["c"].seconds == pytest.approx(1, abs=0.05)
    assert 0.5 < by_clip["d"].similarity < by_clip["c"].similarity


def test_groups_and_tracks_in_two_splits_are_found(clips, tmp_path):
    corpus = write_corpus(
        tmp_path / "set",
        clips[:6],
        names=["001_a", "001_b", "0010_c", "002", "003", "004"],
        splits=["train", "test", "test", "valid", "test", "train"],
        groups=["x", "x2", "y", "z", "z", "z"],
    )
    overlaps = find_within(corpus, catalogue=FREE)
    assert summarise(overlaps) == {
        ("track", "001_a", "001_b", True),
        ("group", "002", "003", True),
        ("group", "002", "004", True),
        ("group", "003", "004", True),
    }
    assert {overlap.name for overlap in overlaps} == {"free 001", "z"}
    assert summarise(find_within(corpus)) == {overlap for overlap in summarise(overlaps) if overlap[0] == "group"}


def test_only_clips_used_by_pretraining_count_and_only_test_clips_leak(clips, tmp_path):
    dataset = write_corpus(
        tmp_path / "set",
        clips[:5],
        names=["001_x", "002_x", "003_x", "004_x", "005_x"],
        splits=["test"] * 3 + ["train"] * 2,
    )
    pool = write_corpus(
        tmp_path / "pool",
        [clips[0], clips[1][4000:], clips[2], clips[3], clips[9], clips[10]],
        names=["p0", "p1", "p2", "p3", "002", "005"],
        splits=["train", "valid", "test", "train", "train", "valid"],
    )
    overlaps = Audit(AuditedCorpus(dataset, catalogue=FREE), threads=2).find_across(AuditedCorpus(pool, catalogue=FREE))
    assert summarise(overlaps) == {
        ("exact", "001_x", "p0", True),
        ("near", "002_x", "p1", True),
        ("exact", "004_x", "p3", False),
        ("track", "002_x", "002", True),
        ("track", "005_x", "005", False),
    }
    assert {overlap.other_corpus for overlap in overlaps} == {"pool"}
    other = Catalogue(name="other", pattern=FREE.pattern)
    without = Audit(AuditedCorpus(dataset, catalogue=FREE), threads=1).find_across(AuditedCorpus(pool, catalogue=other))
    assert {overlap.kind for overlap in without} == {"exact", "near"}


@pytest.mark.slow
def test_the_result_does_not_depend_on_threads(clips, tmp_path):
    corpus = write_corpus(
        tmp_path / "set",
        [*clips, clips[0]],
        names=[f"{i}" for i in range(len(clips) + 1)],
        splits=["train"] * (len(clips) + 1),
    )
    assert find_within(corpus, threads=1) == find_within(corpus, threads=4) != []


def test_a_clip_that_occurs_everywhere_gives_few_pairs(clips, tmp_path):
    count = 20
    corpus = write_corpus(
        tmp_path / "set",
        [clips[0][:8000]] * count,
        names=[f"{i:02d}" for i in range(count)],
        splits=["train", "test"] * (count // 2),
    )
    overlaps = find_within(corpus)
    assert len(overlaps) == 2 * count - 3
    assert {overlap.clip for overlap in overlaps} == {"00", "01"}


def test_digests_depend_on_every_sample(clips):
    changed = clips[0].copy()
    changed[len(changed) // 2] ^= 1
    assert digest_samples(changed) != digest_samples(clips[0])
    assert digest_samples(np.pad(clips[0], (5, 7))) == digest_samples(clips[0])
    assert digest_samples(np.zeros(9, np.int16)) == digest_samples(np.zeros(0, np.int16)) == b""
