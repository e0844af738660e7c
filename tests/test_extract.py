"""The extract job: stored targets of a corpus."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.corpora import write_corpus
from workflow_scripts import extract
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core.errors import UserError
from workflow_scripts.features.stored_features import StoredFeature, frame_offsets
from workflow_scripts.workers import prosody

Extract = Callable[[np.ndarray, object], np.ndarray]


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return write_corpus(tmp_path / "corpus", clips=40, seconds=[0.05 + 0.01 * (i % 3) for i in range(40)])


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "features" / "prosody.npy"


def run(corpus: Corpus, output: Path, *, code: str = "c0de", threads: int = 1, **config: object) -> None:
    given = {"worker": "prosody", "options": {}, "sample_rate": 16000, **config}
    files = ["--corpus", str(corpus.folder), "--output", str(output)]
    extract.main(["--config", json.dumps(given), "--code", code, *files, "--threads", str(threads)])


def levels_of(audio: np.ndarray, _: object) -> np.ndarray:
    """A toy: the first sample of each hop, and not a number but in the first frame."""
    frames = 1 + len(audio) // 160
    values = np.full((2, frames), np.nan, np.float32)
    values[0] = np.pad(audio, (0, 160))[: frames * 160 : 160]
    values[1, 0] = len(audio)
    return values


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Callable[[Extract], None]:
    return lambda function: monkeypatch.setattr(prosody, "extract", function)


def test_every_clip_has_its_features(corpus: Corpus, output: Path) -> None:
    run(corpus, output)
    stored = StoredFeature(output, corpus)
    for row in range(len(corpus)):
        expected = prosody.extract(corpus.cut(row), prosody.Options())
        np.testing.assert_array_equal(stored.cut(row, 0, expected.shape[1]), expected)


def test_options_reach_the_worker(corpus: Corpus, output: Path) -> None:
    run(corpus, output, options={"lowest_hz": 300.0})
    expected = prosody.extract(corpus.cut(0), prosody.Options(lowest_hz=300.0))
    np.testing.assert_array_equal(StoredFeature(output, corpus).cut(0, 0, expected.shape[1]), expected)


@pytest.mark.slow
def test_processes_give_the_same(corpus: Corpus, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(corpus, output)
    alone = np.load(output)
    monkeypatch.setattr(extract, "SECONDS_PER_PROCESS", 1e-3)
    run(corpus, output, threads=2)
    np.testing.assert_array_equal(np.load(output), alone)


def test_record(corpus: Corpus, output: Path, toy: Callable[[Extract], None]) -> None:
    toy(levels_of)
    run(corpus, output)
    values = np.load(output)
    record = json.loads(output.with_suffix(".json").read_text())
    assert record["code"] == "c0de"
    assert record["data"] == {"corpus": corpus.facts.digest}
    assert record["config"]["worker"] == "prosody"
    assert record["shape"] == list(values.shape)
    np.testing.assert_allclose(record["mean"], np.nanmean(values, axis=1, dtype=np.float64))
    np.testing.assert_allclose(record["deviation"], np.nanstd(values, axis=1, dtype=np.float64))


def test_statistics_in_pieces(
    corpus: Corpus, output: Path, toy: Callable[[Extract], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    toy(levels_of)
    monkeypatch.setattr(extract, "FRAMES_AT_ONCE", 7)
    run(corpus, output)
    record = json.loads(output.with_suffix(".json").read_text())
    np.testing.assert_allclose(record["deviation"], np.nanstd(np.load(output), axis=1, dtype=np.float64))


def test_a_channel_without_a_finite_value_has_no_mean(
    corpus: Corpus, output: Path, toy: Callable[[Extract], None]
) -> None:
    toy(lambda audio, _: np.full((1, 1 + len(audio) // 160), np.nan, np.float32))
    run(corpus, output)
    assert json.loads(output.with_suffix(".json").read_text())["mean"] == [None]


class Interrupted(BaseException):
    """Stands for a kill."""


def interrupt_after(calls: int) -> Extract:
    remaining = iter(range(calls))

    def function(audio: np.ndarray, options: object) -> np.ndarray:
        if next(remaining, None) is None:
            raise Interrupted
        return levels_of(audio, options)

    return function


def test_goes_on_where_it_was_killed(corpus: Corpus, output: Path, toy: Callable[[Extract], None]) -> None:
    toy(levels_of)
    run(corpus, output)
    expected = np.load(output)
    output.unlink()
    toy(interrupt_after(1 + extract.CLIPS_AT_ONCE + 3))  # one clip is computed beforehand to learn the shape
    with pytest.raises(Interrupted):
        run(corpus, output)
    assert not output.exists()
    toy(interrupt_after(1 + len(corpus) - extract.CLIPS_AT_ONCE))
    run(corpus, output)
    np.testing.assert_array_equal(np.load(output), expected)
    assert {path.name for path in output.parent.iterdir()} == {"prosody.npy", "prosody.json", ".prosody.npy.lock"}


@pytest.mark.parametrize("code", ["c0de", "other"])
def test_what_a_killed_job_left_takes_no_room(
    corpus: Corpus, output: Path, toy: Callable[[Extract], None], monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """The disk has room for the array once: it is gone on with, or, if it is of other code, removed first."""
    toy(interrupt_after(1 + extract.CLIPS_AT_ONCE))
    with pytest.raises(Interrupted):
        run(corpus, output)
    (unfinished,) = output.parent.glob(".*.partial")
    size = unfinished.stat().st_size

    def measure(_: object) -> SimpleNamespace:
        return SimpleNamespace(free=size - sum(path.stat().st_size for path in output.parent.glob(".*.partial")))

    monkeypatch.setattr("shutil.disk_usage", measure)
    toy(levels_of)
    run(corpus, output, code=code)
    assert output.is_file()


@pytest.mark.parametrize(("suffix", "damage"), [("partial", b""), ("partial", b"x" * 500), ("done", b"16\n\xff")])
def test_a_damaged_unfinished_array_is_started_again(
    corpus: Corpus, output: Path, toy: Callable[[Extract], None], suffix: str, damage: bytes
) -> None:
    toy(interrupt_after(1 + extract.CLIPS_AT_ONCE))
    with pytest.raises(Interrupted):
        run(corpus, output)
    (unfinished,) = output.parent.glob(f".*.{suffix}")
    unfinished.write_bytes(damage)
    toy(levels_of)
    run(corpus, output)
    first = levels_of(corpus.cut(0), None)
    np.testing.assert_array_equal(StoredFeature(output, corpus).cut(0, 0, first.shape[1]), first)


def flip(content: bytes) -> bytes:
    return content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]


@pytest.mark.parametrize("damage", [flip, lambda content: content[:-8] + bytes(8)], ids=["flipped byte", "zeros"])
def test_a_finished_block_that_was_damaged_is_computed_again(
    corpus: Corpus, output: Path, toy: Callable[[Extract], None], damage: Callable[[bytes], bytes]
) -> None:
    toy(levels_of)
    run(corpus, output)
    expected = np.load(output)
    # all blocks are recorded, but for the last
    blocks = len(range(0, len(corpus), extract.CLIPS_AT_ONCE))
    toy(interrupt_after(1 + extract.CLIPS_AT_ONCE * (blocks - 1)))
    with pytest.raises(Interrupted):
        run(corpus, output)
    (unfinished,) = output.parent.glob(".*.partial")
    values = np.load(unfinished, mmap_mode="r+")
    finished = values[:, : frame_offsets(corpus)[extract.CLIPS_AT_ONCE]]
    finished[...] = np.frombuffer(damage(finished.tobytes()), np.float32).reshape(finished.shape)
    values.flush()
    toy(levels_of)
    run(corpus, output)
    np.testing.assert_array_equal(np.load(output), expected)


def test_does_not_go_on_with_other_code(corpus: Corpus, output: Path, toy: Callable[[Extract], None]) -> None:
    toy(interrupt_after(1 + extract.CLIPS_AT_ONCE))
    with pytest.raises(Interrupted):
        run(corpus, output)
    toy(lambda audio, options: levels_of(audio, options) + 1)
    run(corpus, output, code="other")
    first = levels_of(corpus.cut(0), None) + 1
    np.testing.assert_array_equal(StoredFeature(output, corpus).cut(0, 0, first.shape[1]), first)
    assert {path.name for path in output.parent.iterdir()} == {"prosody.npy", "prosody.json", ".prosody.npy.lock"}


def test_a_worker_that_gives_another_shape(corpus: Corpus, output: Path, toy: Callable[[Extract], None]) -> None:
    toy(lambda audio, options: levels_of(audio, options)[:, 1:])
    with pytest.raises(UserError, match="clip0000"):
        run(corpus, output)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"worker": "mfcc"}, "nothing to extract"),
        ({"worker": "prosodie"}, "allowed: .*prosody"),
        ({"sample_rate": 22050}, "prepare it at that rate"),
        ({"options": {"lowest": 1}}, "unknown key 'lowest'"),
        ({"options": {"lowest_hz": 1.0}}, "lowest pitch"),
    ],
)
def test_one_line_says_what_is_wrong(corpus: Corpus, output: Path, config: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(corpus, output, **config)
    assert not output.exists()


def test_two_jobs_of_one_output_do_not_mix(corpus: Corpus, output: Path, toy: Callable[[Extract], None]) -> None:
    def extract_again(audio: np.ndarray, _: object) -> np.ndarray:
        toy(levels_of)
        with pytest.raises(UserError, match=rf"{output.name} is in use by .* wait"):
            run(corpus, output)
        return levels_of(audio, _)

    toy(extract_again)
    run(corpus, output)
    assert output.is_file()
