import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import soundfile

from tests.audio.recordings import encode, tone, write_tone
from workflow_scripts.audio import build as build_module
from workflow_scripts.audio.build import CorpusSpec, build_corpus
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.dataset_index import CLIP_COLUMNS, DatasetIndex, Stem

RATE = 16_000
FILES = ("audio.int16", "clips.parquet", "labels.parquet", "quarantine.csv", "corpus.json")


def make_index(paths, *, excluded=(), segments=None):
    segments = segments or {}
    rows = [
        (
            path.split(".")[0],
            path,
            *segments.get(path, (np.nan, np.nan)),
            ("train", "valid", "test")[i % 3],
            f"g{i // 2}",
        )
        for i, path in enumerate(paths)
    ]
    clips = pd.DataFrame(rows, columns=list(CLIP_COLUMNS))
    labels = pd.DataFrame(
        {"a": np.arange(len(rows)) % 2, "b": [np.nan] * len(rows)}, index=list(clips["clip"]), dtype=np.float32
    )
    return DatasetIndex(
        task="multilabel",
        clips=clips,
        labels=labels,
        excluded=pd.DataFrame(list(excluded), columns=["clip", "reason"], dtype=object),
    )


def toy_spec(**changes):
    return CorpusSpec(**{"dataset": "toy", "source": "local", "sample_rate": RATE, **changes})


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "data"
    for number in range(8):
        write_tone(folder / f"c{number}.wav", 0.2 + 0.1 * number, pitch=200 + 50 * number)
    return folder


GOOD = [f"c{number}.wav" for number in range(8)]


def test_corpus_holds_every_clip_in_order(root, tmp_path):
    facts = build_corpus(make_index(GOOD), root=root, output=tmp_path / "out", spec=toy_spec(), processes=2)
    corpus = Corpus(tmp_path / "out")
    assert corpus.facts == facts
    assert list(corpus.clips.columns) == ["clip", "offset", "length", "split", "group", "factor", "defects"]
    assert list(corpus.clips["clip"]) == [f"c{number}" for number in range(8)]
    assert list(corpus.lengths) == [round(RATE * (0.2 + 0.1 * number)) for number in range(8)]
    assert list(corpus.offsets) == [0, *np.cumsum(corpus.lengths)[:-1]]
    for number in range(8):
        expected = tone(0.2 + 0.1 * number, pitch=200 + 50 * number)
        np.testing.assert_allclose(corpus.cut(number), expected, atol=2 / 32768)
    assert corpus.labels.dtype == np.float32
    np.testing.assert_array_equal(corpus.labels[:, 0], np.arange(8) % 2)
    assert np.isnan(corpus.labels[:, 1]).all()
    assert list(corpus.rows("valid")) == [1, 4, 7]
    assert (facts.clips, facts.quarantined, facts.classes) == (8, 0, ["a", "b"])
    assert facts.seconds == pytest.approx(sum(0.2 + 0.1 * number for number in range(8)))


def test_broken_missing_and_excluded_clips_go_to_quarantine(root, tmp_path):
    (root / "c2.wav").write_bytes(b"")
    (root / "c5.wav").unlink()
    index = make_index(GOOD, excluded=[("c1", "known_bad"), ("other", "no_label")])
    facts = build_corpus(index, root=root, output=tmp_path / "out", spec=toy_spec(), processes=2)
    table = pd.read_csv(tmp_path / "out" / "quarantine.csv")
    assert dict(zip(table["clip"], table["reason"], strict=True)) == {
        "c1": "known_bad",
        "c2": "empty",
        "c5": "missing",
        "other": "no_label",
    }
    corpus = Corpus(tmp_path / "out")
    assert list(corpus.clips["clip"]) == ["c0", "c3", "c4", "c6", "c7"]
    np.testing.assert_array_equal(corpus.labels[:, 0], [0, 1, 0, 0, 1])
    assert (facts.clips, facts.quarantined) == (5, 4)
    np.testing.assert_allclose(corpus.cut(1), tone(0.5, pitch=350), atol=2 / 32768)


def test_a_list_cannot_name_files_outside_the_data_set(root, tmp_path):
    write_tone(tmp_path / "secret.wav", 0.5)
    (root / "linked.wav").symlink_to(tmp_path / "secret.wav")
    (root / "linked").symlink_to(tmp_path)
    inside = [*GOOD[:2], "./c2.wav"]
    outside = ["../secret.wav", "sub/../../secret.wav", str(tmp_path / "secret.wav")]
    links = ["linked.wav", "linked/secret.wav"]
    index = make_index([f"clip{number}.wav" for number in range(8)])
    index.clips["path"] = [*inside, *outside, *links]
    for source, refused in (("download", outside + links), ("twin", outside + links), ("local", outside)):
        output = tmp_path / source
        facts = build_corpus(index, root=root, output=output, spec=toy_spec(source=source), processes=1)
        table = pd.read_csv(output / "quarantine.csv")
        assert list(table["clip"]) == [f"clip{number}" for number in range(3, 3 + len(refused))]
        assert set(table["reason"]) == {"the file lies outside the folder of the data set"}
        assert facts.clips == 8 - len(refused)


def test_segments_and_clip_seconds_shorten_clips(root, tmp_path):
    index = make_index(["c7.wav", "c6.wav"][::-1], segments={"c7.wav": (0.25, 0.75)})
    build_corpus(index, root=root, output=tmp_path / "out", spec=toy_spec(clip_seconds=0.3), processes=1)
    corpus = Corpus(tmp_path / "out")
    assert list(corpus.lengths) == [4800, 4800]
    np.testing.assert_allclose(corpus.cut(1), tone(0.9, pitch=550)[4000:8800], atol=2 / 32768)


def test_bytes_do_not_depend_on_the_number_of_processes(root, tmp_path):
    encode(root / "c3.wav", root / "c3.m4a")
    paths = [name.replace("c3.wav", "c3.m4a") for name in GOOD]
    for processes in (1, 3):
        build_corpus(
            make_index(paths), root=root, output=tmp_path / str(processes), spec=toy_spec(), processes=processes
        )
    for name in FILES:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes(), name


def test_digest_follows_the_content(root, tmp_path):
    def digest(index, **changes):
        return build_corpus(index, root=root, output=tmp_path / "out", spec=toy_spec(**changes), processes=1).digest

    first = digest(make_index(GOOD))
    assert digest(make_index(GOOD)) == first
    assert digest(make_index(GOOD), dataset="other_name") == first
    others = {
        digest(make_index(GOOD[:-1])),
        digest(make_index(GOOD), clip_seconds=0.25),
        digest(make_index(GOOD), sample_rate=8000),
    }
    others.add(digest(make_index(GOOD, excluded=[("x", "y")])))
    relabelled = make_index(GOOD)
    relabelled.labels.iloc[0, 0] = 1
    others.add(digest(relabelled))
    write_tone(root / "c0.wav", 0.2, pitch=201)
    others.add(digest(make_index(GOOD)))
    assert len(others | {first}) == 7


def test_corpora_of_different_sample_rates_have_equal_contents(root, tmp_path):
    def content(index, **changes):
        return build_corpus(index, root=root, output=tmp_path / "out", spec=toy_spec(**changes), processes=1).content

    first = content(make_index(GOOD), files="as acquired")
    assert content(make_index(GOOD), files="as acquired", sample_rate=8000) == first
    relabelled = make_index(GOOD)
    relabelled.labels.iloc[0, 0] = 1
    others = {
        content(make_index(GOOD), files="other files"),
        content(make_index(GOOD[:-1]), files="as acquired"),
        content(make_index(GOOD), files="as acquired", clip_seconds=0.25),
        content(make_index(GOOD, excluded=[("x", "y")]), files="as acquired"),
        content(relabelled, files="as acquired"),
    }
    assert len(others | {first}) == 6


def test_a_corpus_without_usable_clips_is_an_error(root, tmp_path):
    with pytest.raises(UserError, match=r"none of 2 clips.*missing"):
        build_corpus(make_index(["x.wav", "y.wav"]), root=root, output=tmp_path / "out", spec=toy_spec(), processes=2)
    with pytest.raises(UserError, match="lists no usable clip"):
        build_corpus(make_index([]), root=root, output=tmp_path / "out", spec=toy_spec(), processes=2)
    assert not list((tmp_path / "out").iterdir())


def test_an_interrupted_rebuild_leaves_no_corpus_that_looks_complete(root, tmp_path, monkeypatch):
    build_corpus(make_index(GOOD), root=root, output=tmp_path / "out", spec=toy_spec(), processes=1)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(build_module, "_write_parquet", stop)
    with pytest.raises(KeyboardInterrupt):
        build_corpus(make_index(GOOD[:3]), root=root, output=tmp_path / "out", spec=toy_spec(), processes=1)
    assert not (tmp_path / "out" / "corpus.json").exists()
    assert not list((tmp_path / "out").glob(".*"))


def test_corpus_json_states_the_fields_of_facts(root, tmp_path):
    facts = build_corpus(make_index(GOOD), root=root, output=tmp_path / "out", spec=toy_spec(), processes=1)
    assert json.loads((tmp_path / "out" / "corpus.json").read_text())["digest"] == facts.digest


def make_index_with_stems(root, paths, **stems):
    """Make the index of `paths` with stems in separate files: tones of the pitch and seconds given for each clip."""
    index = make_index(paths)
    for name, tones in stems.items():
        for clip, (pitch, seconds) in zip(index.clips["clip"], tones, strict=True):
            write_tone(root / f"{clip}_{name}.wav", seconds, pitch=pitch)
    files = {
        name: Stem(paths=np.array([f"{clip}_{name}.wav" for clip in index.clips["clip"]], object)) for name in stems
    }
    return dataclasses.replace(index, stems=files)


def test_stems_are_aligned_with_the_mixture_sample_by_sample(root, tmp_path):
    pitches = [(300, 0.2), (310, 0.3), (320, 0.4)]
    index = make_index_with_stems(
        root, GOOD[:3], low=pitches, high=[(pitch * 3, seconds) for pitch, seconds in pitches]
    )
    facts = build_corpus(index, root=root, output=tmp_path / "out", spec=toy_spec(), processes=2)
    corpus = Corpus(tmp_path / "out")
    assert corpus.facts.stems == facts.stems == ["low", "high"]
    for name, factor in (("low", 1), ("high", 3)):
        assert len(corpus.stems[name]) == len(corpus.samples)
        for row, (pitch, seconds) in enumerate(pitches):
            piece = np.zeros(len(tone(seconds)) + 10, np.int16)
            corpus.fill(piece[:-5], row=row, start=5, stem=name)
            expected = tone(seconds, pitch=pitch * factor)[5:]
            np.testing.assert_allclose(piece[: len(expected)] / 32768, expected, atol=2 / 32768)
            assert not piece[len(expected) :].any()


def test_audio_above_full_scale_is_scaled_and_recorded(root, tmp_path):
    soundfile.write(root / "c1.wav", 4 * tone(0.3, pitch=250), RATE, subtype="FLOAT")  # peak 2: +6 dB
    facts = build_corpus(make_index(GOOD[:3]), root=root, output=tmp_path / "out", spec=toy_spec(), processes=1)
    corpus = Corpus(tmp_path / "out")
    assert corpus.clips["factor"].to_list() == pytest.approx([1, 0.5, 1], rel=1e-6)
    assert (facts.scaled, facts.defective) == (1, 0)
    np.testing.assert_allclose(corpus.cut(1), 2 * tone(0.3, pitch=250), atol=2 / 32768)
    np.testing.assert_allclose(corpus.cut(2), tone(0.4, pitch=300), atol=2 / 32768)


def test_a_clip_and_its_stems_are_scaled_by_one_factor(root, tmp_path):
    index = make_index_with_stems(root, GOOD[:2], low=[(300, 0.2), (310, 0.3)])
    soundfile.write(root / "c0.wav", 3 * tone(0.2, pitch=200), RATE, subtype="FLOAT")
    build_corpus(index, root=root, output=tmp_path / "out", spec=toy_spec(), processes=1)
    corpus = Corpus(tmp_path / "out")
    factor = corpus.clips["factor"][0]
    assert factor == pytest.approx(2 / 3, rel=1e-3)
    for samples, signal in ((corpus.samples, 3 * tone(0.2, pitch=200)), (corpus.stems["low"], tone(0.2, pitch=300))):
        np.testing.assert_allclose(samples[: len(signal)] / 32768, factor * signal, atol=2 / 32768)


def test_defects_of_a_clip_and_of_its_stems_are_recorded(root, tmp_path):
    index = make_index_with_stems(root, GOOD[:3], low=[(300, 0.2), (310, 0.3), (320, 0.4)])
    for name in ("c1.wav", "c2_low.wav"):
        data = (root / name).read_bytes()
        (root / name).write_bytes(data[: -len(data) // 20])
    facts = build_corpus(index, root=root, output=tmp_path / "out", spec=toy_spec(), processes=1)
    assert Corpus(tmp_path / "out").clips["defects"].to_list() == ["", "incomplete", "stem low: incomplete"]
    assert (facts.scaled, facts.defective, facts.quarantined) == (0, 2, 0)


def test_a_corpus_without_stems_does_not_mention_stems(root, tmp_path):
    build_corpus(make_index(GOOD[:3]), root=root, output=tmp_path / "out", spec=toy_spec(), processes=1)
    assert "stems" not in json.loads((tmp_path / "out" / "corpus.json").read_text())
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES)
    assert Corpus(tmp_path / "out").stems == {}


def test_a_silent_stem_is_kept_and_small_differences_in_length_are_removed(root, tmp_path):
    index = make_index_with_stems(root, GOOD[:2], low=[(300, 0.15), (300, 0.35)])
    soundfile.write(root / "c0_low.wav", np.zeros(RATE // 5), RATE)
    facts = build_corpus(index, root=root, output=tmp_path / "out", spec=toy_spec(), processes=1)
    corpus = Corpus(tmp_path / "out")
    assert facts.quarantined == 0
    assert not corpus.stems["low"][: corpus.lengths[0]].any()
    assert corpus.stems["low"][corpus.lengths[0] :].any()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda path: path.unlink(), "stem low: missing"),
        (lambda path: path.write_bytes(b""), "stem low: empty"),
        (lambda path: write_tone(path, 0.5), "stem low: 0.3 s longer than the mixture"),
        (lambda path: write_tone(path, 0.05), "stem low: 0.1 s shorter than the mixture"),
    ],
)
def test_a_clip_whose_stem_cannot_be_used_goes_to_quarantine(root, tmp_path, fault, reason):
    index = make_index_with_stems(root, GOOD[:3], low=[(300, 0.2), (310, 0.3), (320, 0.4)])
    fault(root / "c0_low.wav")
    build_corpus(index, root=root, output=tmp_path / "out", spec=toy_spec(), processes=1)
    table = pd.read_csv(tmp_path / "out" / "quarantine.csv")
    assert dict(zip(table["clip"], table["reason"], strict=True)) == {"c0": reason}
    corpus = Corpus(tmp_path / "out")
    assert len(corpus.stems["low"]) == len(corpus.samples) == corpus.lengths.sum()
    np.testing.assert_allclose(corpus.stems["low"][: corpus.lengths[0]] / 32768, tone(0.3, pitch=310), atol=2 / 32768)


def test_stems_enter_the_digest_and_must_be_inside_the_data_set(root, tmp_path):
    digests = []
    for pitch in (300, 301):
        index = make_index_with_stems(root, GOOD[:1], low=[(pitch, 0.2)])
        digests.append(build_corpus(index, root=root, output=tmp_path / "out", spec=toy_spec(), processes=1).digest)
    assert digests[0] != digests[1]
    elsewhere = dataclasses.replace(make_index(GOOD[:1]), stems={"low": Stem(paths=np.array(["../c1.wav"], object))})
    with pytest.raises(UserError, match="no usable clip"):
        build_corpus(elsewhere, root=root, output=tmp_path / "out", spec=toy_spec(), processes=1)


def test_a_stem_may_be_a_stream_of_the_mixtures_file(root, tmp_path):
    encode(
        root / "c3.wav", root / "song.mp4", "-i", root / "c5.wav", "-map", "0", "-map", "1", "-c:a", "alac", "-t", "0.4"
    )
    index = dataclasses.replace(
        make_index(["song.mp4"]), stems={"low": Stem(paths=np.array(["song.mp4"], object), stream=1)}
    )
    build_corpus(index, root=root, output=tmp_path / "out", spec=toy_spec(), processes=1)
    corpus = Corpus(tmp_path / "out")
    np.testing.assert_allclose(corpus.cut(0), tone(0.4, pitch=350), atol=2 / 32768)
    np.testing.assert_allclose(corpus.stems["low"] / 32768, tone(0.4, pitch=450), atol=2 / 32768)


def test_test_clips_of_one_recording_are_in_one_group_and_other_doubles_keep_theirs(tmp_path):
    root = tmp_path / "data"
    names = [f"c{number:02d}.wav" for number in range(12)]
    for number, name in enumerate(names):
        write_tone(root / name, 0.2, pitch=200 + 50 * number)
    for copy, original, silence in ((5, 2, 0), (8, 0, 0), (11, 2, 1000)):
        samples = soundfile.read(root / names[original], dtype="int16")[0]
        soundfile.write(root / names[copy], np.concatenate([np.zeros(silence, np.int16), samples]), RATE)
    build_corpus(make_index(names), root=root, output=tmp_path / "out", spec=toy_spec(), processes=1)
    groups = Corpus(tmp_path / "out").clips["group"].to_list()
    assert groups[2:6] == ["g1", "g1", "g1", "g1"], "the whole groups of the first two"
    assert groups[10:] == ["g1", "g1"]
    assert (groups[0], groups[8]) == ("g0", "g4"), "one of them is no test clip"
