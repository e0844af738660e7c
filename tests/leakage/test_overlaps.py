"""Planted overlaps, within a data set and with a corpus for pre-training."""

from __future__ import annotations

import numpy as np
import pytest

from tests.leakage.corpora import RATE, as_int16, corpus, music, noisy, shifted
from workflow_scripts.leakage.exact import digest_samples
from workflow_scripts.leakage.overlaps import Audit, AuditedCorpus, Catalogue

FREE = Catalogue(name="free", pattern=r"(\d{3})(?!\d)")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return music(tmp_path_factory.mktemp("music"), clips=16, seconds=3.0)


def pairs(overlaps):
    return {(each.kind, each.clip, each.other_clip, each.leak) for each in overlaps}


def within(made, *, catalogue=None, threads=1):
    return Audit(AuditedCorpus(made, catalogue=catalogue), threads=threads).find_within()


def test_distinct_clips_do_not_overlap(clips, tmp_path):
    names = [f"c{number}" for number in range(12)]
    made = corpus(tmp_path / "set", clips[:12], names=names, splits=["train", "valid", "test"] * 4)
    assert within(made) == []


def test_samples_are_equal_whatever_silence_is_around_them(clips, tmp_path):
    silence = np.zeros(RATE // 3, np.int16)
    planted = [clips[0], np.concatenate([silence, clips[0], silence]), clips[1], clips[2], clips[0]]
    splits = ["train", "test", "test", "train", "train"]
    found = within(corpus(tmp_path / "set", planted, names=list("abcde"), splits=splits))
    assert pairs(found) == {
        ("exact", "a", "b", True),
        ("exact", "a", "e", False),
        ("exact", "b", "e", True),
    }


def test_short_and_silent_clips(clips, tmp_path):
    click, silence = clips[0][8000:8400], np.zeros(RATE, np.int16)
    names, splits = list("abcd"), ["train", "test", "train", "test"]
    audit = Audit(
        AuditedCorpus(corpus(tmp_path / "set", [click, click, silence, silence], names=names, splits=splits)), threads=1
    )
    assert pairs(audit.find_within()) == {("exact", "a", "b", True)}
    assert audit.index.too_short == 4


def test_near_duplicates_are_told_with_how_they_differ(clips, tmp_path):
    audio = clips[3] / np.float32(32768)
    higher = as_int16(noisy(shifted(1)(audio, None), np.random.default_rng(0)))
    planted = [*clips[:4], higher, clips[2][RATE:]]
    splits = ["train", "train", "test", "train", "test", "test"]
    found = within(corpus(tmp_path / "set", planted, names=list("abcdef"), splits=splits))
    assert pairs(found) == {("near", "d", "e", True), ("near", "c", "f", False)}
    by_clip = {each.clip: each for each in found}
    assert by_clip["d"].semitones == 1
    assert by_clip["c"].seconds == pytest.approx(1, abs=0.05)
    assert 0.5 < by_clip["d"].similarity < by_clip["c"].similarity


def test_groups_and_tracks_in_two_splits(clips, tmp_path):
    made = corpus(
        tmp_path / "set",
        clips[:6],
        names=["001_a", "001_b", "0010_c", "002", "003", "004"],
        splits=["train", "test", "test", "valid", "test", "train"],
        groups=["x", "x2", "y", "z", "z", "z"],
    )
    found = within(made, catalogue=FREE)
    assert pairs(found) == {
        ("track", "001_a", "001_b", True),
        ("group", "002", "003", True),
        ("group", "002", "004", True),
        ("group", "003", "004", True),
    }
    assert {each.name for each in found} == {"free 001", "z"}
    assert pairs(within(made)) == {each for each in pairs(found) if each[0] == "group"}


def test_only_what_pretraining_hears_counts_and_only_tests_leak(clips, tmp_path):
    dataset = corpus(
        tmp_path / "set",
        clips[:5],
        names=["001_x", "002_x", "003_x", "004_x", "005_x"],
        splits=["test"] * 3 + ["train"] * 2,
    )
    heard = corpus(
        tmp_path / "pool",
        [clips[0], clips[1][4000:], clips[2], clips[3], clips[9], clips[10]],
        names=["p0", "p1", "p2", "p3", "002", "005"],
        splits=["train", "valid", "test", "train", "train", "valid"],
    )
    found = Audit(AuditedCorpus(dataset, catalogue=FREE), threads=2).find_across(AuditedCorpus(heard, catalogue=FREE))
    assert pairs(found) == {
        ("exact", "001_x", "p0", True),
        ("near", "002_x", "p1", True),
        ("exact", "004_x", "p3", False),
        ("track", "002_x", "002", True),
        ("track", "005_x", "005", False),
    }
    assert {each.other_corpus for each in found} == {"pool"}
    other = Catalogue(name="other", pattern=FREE.pattern)
    without = Audit(AuditedCorpus(dataset, catalogue=FREE), threads=1).find_across(
        AuditedCorpus(heard, catalogue=other)
    )
    assert {each.kind for each in without} == {"exact", "near"}


def test_threads_change_nothing(clips, tmp_path):
    made = corpus(
        tmp_path / "set",
        [*clips, clips[0]],
        names=[f"{i}" for i in range(len(clips) + 1)],
        splits=["train"] * (len(clips) + 1),
    )
    assert within(made, threads=1) == within(made, threads=4) != []


def test_one_clip_everywhere_makes_few_pairs(clips, tmp_path):
    count = 20
    made = corpus(
        tmp_path / "set",
        [clips[0][:8000]] * count,
        names=[f"{i:02d}" for i in range(count)],
        splits=["train", "test"] * (count // 2),
    )
    found = within(made)
    assert len(found) == 2 * count - 3
    assert {each.clip for each in found} == {"00", "01"}


def test_digests_see_every_sample(clips):
    changed = clips[0].copy()
    changed[len(changed) // 2] ^= 1
    assert digest_samples(changed) != digest_samples(clips[0])
    assert digest_samples(np.pad(clips[0], (5, 7))) == digest_samples(clips[0])
    assert digest_samples(np.zeros(9, np.int16)) == digest_samples(np.zeros(0, np.int16)) == b""
