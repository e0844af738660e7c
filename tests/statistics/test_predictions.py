from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.statistics.synthetic_samples import random_predictions
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.result_files import PREDICTIONS
from workflow_scripts.statistics.predictions import Windows, read_predictions, read_windows, write_predictions

WINDOWS = Windows(scores=np.ones((2, 4), np.float16), clips=np.array([0, 1]), starts=np.array([0.0, 1.5]), seconds=3.0)


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_predictions_are_read_as_they_were_written(tmp_path: Path, task: str) -> None:
    written = random_predictions(0, task)
    write_predictions(tmp_path / PREDICTIONS, written, windows=None)
    stored = read_predictions(tmp_path / PREDICTIONS)
    assert (stored.task, stored.clips, stored.classes) == (written.task, written.clips, written.classes)
    for name in ("labels", "scores", "confusion", "clusters"):
        np.testing.assert_array_equal(getattr(stored, name), getattr(written, name))
    assert read_windows(tmp_path / PREDICTIONS) is None


def test_windows_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_predictions(tmp_path / PREDICTIONS, random_predictions(0), windows=WINDOWS)
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
def compressed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compressed") / PREDICTIONS
    rng = np.random.default_rng(0)
    np.savez_compressed(
        path,
        clips=np.arange(20).astype(str),
        classes=np.arange(4).astype(str),
        scores=rng.random((3, 20, 4)).astype(np.float32),
        labels=np.eye(4)[rng.integers(4, size=20)],
        groups=np.arange(20),
        confusion=np.ones((3, 4, 4)),
    )
    assert read_predictions(path).task == "multiclass"
    return path


@settings(deadline=None, max_examples=25)
@given(position=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_no_changed_byte_of_a_compressed_file_is_a_crash(compressed: Path, position: float, byte: int) -> None:
    content = bytearray(compressed.read_bytes())
    content[int(position * len(content))] = byte
    damaged = compressed.with_name("damaged.npz")
    damaged.write_bytes(content)
    with suppress(UserError):  # or it is still a file of predictions: not every byte matters
        read_predictions(damaged)
