import tracemalloc
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hostile_arrays import HOSTILE_ARRAYS
from tests.records import seal
from tests.statistics.synthetic_samples import random_predictions
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.result_files import PREDICTIONS
from workflow_scripts.statistics.predictions import Windows, read_predictions, read_windows, write_predictions

WINDOWS = Windows(scores=np.ones((2, 4), np.float16), clips=np.array([0, 1]), starts=np.array([0.0, 1.5]), seconds=3.0)


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_predictions_are_read_as_they_were_written(tmp_path: Path, task: str) -> None:
    written = random_predictions(0, task)
    write_predictions(tmp_path / PREDICTIONS, written, windows=None)
    seal(tmp_path / PREDICTIONS)
    stored = read_predictions(tmp_path / PREDICTIONS)
    assert (stored.task, stored.clips, stored.classes) == (written.task, written.clips, written.classes)
    for name in ("labels", "scores", "confusion", "clusters"):
        np.testing.assert_array_equal(getattr(stored, name), getattr(written, name))
    assert read_windows(tmp_path / PREDICTIONS) is None


def test_windows_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_predictions(tmp_path / PREDICTIONS, random_predictions(0), windows=WINDOWS)
    seal(tmp_path / PREDICTIONS)
    stored = read_windows(tmp_path / PREDICTIONS)
    assert stored is not None
    assert stored.seconds == WINDOWS.seconds
    for name in ("scores", "clips", "starts"):
        np.testing.assert_array_equal(getattr(stored, name), getattr(WINDOWS, name))


def test_parts_of_different_runs_are_refused() -> None:
    written = random_predictions(0)
    assert written.clusters is not None
    with pytest.raises(UserError, match="do not belong together"):
        replace(written, labels=written.labels[1:], clusters=written.clusters[1:])
    with pytest.raises(UserError, match="do not belong together"):
        replace(written, clusters=written.clusters[1:])


def test_scores_that_are_not_finite_are_refused() -> None:
    written = random_predictions(0)
    with pytest.raises(UserError, match="not finite"):
        replace(written, scores=np.full_like(written.scores, np.nan))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / PREDICTIONS
    write_predictions(path, random_predictions(0), windows=None)
    seal(path)
    return path


@settings(deadline=None, max_examples=25)
@given(position=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_no_changed_byte_of_a_file_is_a_crash(whole: Path, position: float, byte: int) -> None:
    content = bytearray(whole.read_bytes())
    content[int(position * len(content))] = byte
    damaged = whole.with_name("damaged.npz")
    damaged.write_bytes(content)
    seal(damaged)
    with suppress(UserError):  # or it is still a file of predictions: not every byte matters
        read_predictions(damaged)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
def test_a_part_of_a_file_is_refused(whole: Path, tmp_path: Path, kept: float) -> None:
    content = whole.read_bytes()
    (tmp_path / PREDICTIONS).write_bytes(content[: int(kept * len(content))])
    seal(tmp_path / PREDICTIONS)
    with pytest.raises(UserError, match=r"predictions\.npz is damaged: delete its folder and evaluate again"):
        read_predictions(tmp_path / PREDICTIONS)


def test_a_compressed_file_is_refused_before_it_is_expanded(whole: Path, tmp_path: Path) -> None:
    with np.load(whole) as stored:
        np.savez_compressed(tmp_path / PREDICTIONS, **{**stored, "scores": np.zeros((100, 1000, 100))})
    seal(tmp_path / PREDICTIONS)
    tracemalloc.start()
    with pytest.raises(UserError, match="states more bytes than it has"):
        read_predictions(tmp_path / PREDICTIONS)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("kind", HOSTILE_ARRAYS)
@pytest.mark.parametrize("part", ["scores", "clips"])
def test_an_array_that_is_not_what_its_header_states_is_refused(
    whole: Path, tmp_path: Path, kind: str, part: str
) -> None:
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(tmp_path / PREDICTIONS, "w") as target:
        for name in source.namelist():
            target.writestr(name, HOSTILE_ARRAYS[kind] if name == f"{part}.npy" else source.read(name))
    seal(tmp_path / PREDICTIONS)
    with pytest.raises(UserError, match=r"predictions\.npz is damaged: delete its folder"):
        read_predictions(tmp_path / PREDICTIONS)
