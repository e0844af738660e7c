"""A disk that fills while a job runs: one clear line, nothing finished is lost, and the next run goes on."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests import processes
from tests.audio.recordings import write_tone
from tests.corpora import write_corpus
from tests.full_disk import fill_up, free_space, small_disk, unfinished_files
from tests.pretraining_runs import arguments as pretrain_arguments
from tests.pretraining_runs import config as pretrain_config
from workflow_scripts import acquire, evaluate, extract, prepare, pretrain
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core import files
from workflow_scripts.core.errors import EXIT_USER_ERROR, run_command
from workflow_scripts.evaluation.task import TrialStore
from workflow_scripts.levels.factors import DOWNSTREAM, PRETRAINING
from workflow_scripts.pretraining.training_state import StateFile

SMALL = {"embedding": 16, "width": 0.1}


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", mebibytes=4) as folder:
        yield folder


def job(main: Callable[[list[str]], None], argv: list[str]) -> None:
    run_command(lambda: main(argv))


def job_on_a_filling_disk(main: Callable[[list[str]], None], argv: list[str], folder: str, kind: str) -> None:
    """The job, with the disk of `folder` filled by others at a moment that `kind` names."""

    def then_full(function: Callable[..., None], *, left: int = 0) -> Callable[..., None]:
        def after(*given: object) -> None:
            function(*given)
            fill_up(Path(folder), left=left)

        return after

    if kind == "after the first state":
        StateFile.save = then_full(StateFile.save)  # type: ignore[method-assign]
    elif kind == "after the first trial":
        TrialStore.save = then_full(TrialStore.save)  # type: ignore[method-assign]
    elif kind == "after it was measured":
        files.require_space = then_full(files.require_space, left=1 << 14)  # the header fits
    job(main, argv)


def ends_in_one_line(log: Path, code: int | None, named: str) -> None:
    text = log.read_text()
    assert code == EXIT_USER_ERROR, text
    lines = [line for line in text.splitlines() if line.startswith("prelude: ")]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    assert "free some space" in lines[0]
    assert named in lines[0]


WRITERS: dict[str, Callable[[Path], object]] = {
    "text.csv": lambda path: path.write_text("x" * 9_000_000),
    "array.npy": lambda path: np.save(path, np.zeros(2_000_000)),
    "arrays.npz": lambda path: np.savez(path, a=np.zeros(2_000_000)),
    "state.state": lambda path: torch.save({"a": torch.zeros(2_000_000)}, path),
    "weights.safetensors": lambda path: save_file({"a": torch.zeros(2_000_000)}, path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_whatever_library_writes_the_error_is_the_disks_and_the_old_file_stays(disk, name):
    (disk / name).write_bytes(b"old")
    with pytest.raises(OSError, match="No space left") as caught, files.write_atomically(disk / name) as temporary:
        WRITERS[name](temporary)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(disk / name)
    assert (disk / name).read_bytes() == b"old"
    assert [path.name for path in disk.iterdir()] == [name]


def test_other_errors_stay_what_they_are(disk):
    def broken() -> None:
        with files.write_atomically(disk / "a"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()


def test_prepare_keeps_finished_corpora_and_leaves_none_that_looks_finished(disk, tmp_path):
    for number in range(4):
        write_tone(tmp_path / "mine" / "deep" / f"c{number}.wav", 5.0, pitch=300 + number)
    given = {"dataset": "toy", "loader": "folder", "source": "local", "path": str(tmp_path / "mine")}
    acquire.main(["--config", json.dumps(given), "--code", "c", "--output", str(tmp_path / "data")])

    def argv(output: Path, **more: object) -> list[str]:
        config = {"dataset": "toy", "loader": "folder", "options": {}, "sample_rate": 16_000, **more}
        flags = ["--code", "c", "--acquired", str(tmp_path / "data" / "acquired.json"), "--output", str(output)]
        return ["--config", json.dumps(config), *flags]

    prepare.main(argv(disk / "finished", clip_seconds=1.0))
    before = {path.name: path.read_bytes() for path in (disk / "finished").iterdir()}
    (disk / "taken").write_bytes(bytes(3_600_000))  # 640,000 bytes of audio do not fit beside it
    log = tmp_path / "log"
    (code,) = processes.exit_codes([processes.start(job, prepare.main, argv(disk / "new"), log=log)])
    ends_in_one_line(log, code, "audio.int16")
    assert not list((disk / "new").iterdir())
    assert {path.name: path.read_bytes() for path in (disk / "finished").iterdir()} == before
    (disk / "taken").unlink()
    prepare.main(argv(disk / "new"))
    assert len(Corpus(disk / "new")) == 4


def test_extract_is_not_killed_by_a_hole_in_its_array(disk, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", clips=40, seconds=0.5)
    config = {"worker": "prosody", "options": {}, "sample_rate": 16_000}
    argv = ["--config", json.dumps(config), "--code", "c", "--corpus", str(corpus.folder)]
    argv += ["--output", str(disk / "prosody.npy")]
    log = tmp_path / "log"
    started = processes.start(job_on_a_filling_disk, extract.main, argv, str(disk), "after it was measured", log=log)
    (code,) = processes.exit_codes([started])
    ends_in_one_line(log, code, "prosody.npy")
    assert not (disk / "prosody.npy").exists()
    free_space(disk)
    extract.main(argv)
    extract.main([*argv[:-1], str(tmp_path / "prosody.npy")])
    assert (disk / "prosody.npy").read_bytes() == (tmp_path / "prosody.npy").read_bytes()


@pytest.mark.slow
def test_pretraining_goes_on_from_the_last_state_that_fitted(disk, tmp_path):
    corpus = write_corpus(tmp_path / "tones", clips=10, seconds=0.5, task="unlabelled")
    argv = pretrain_arguments(pretrain_config(), corpus=corpus, output=disk / "run")
    log = tmp_path / "log"
    started = processes.start(job_on_a_filling_disk, pretrain.main, argv, str(disk), "after the first state", log=log)
    (code,) = processes.exit_codes([started])
    ends_in_one_line(log, code, ".state")
    (state,) = disk.glob(".run-*.state")
    assert torch.load(state, weights_only=True)
    assert not unfinished_files(disk)
    free_space(disk)
    pretrain.main(argv)
    pretrain.main(pretrain_arguments(pretrain_config(), corpus=corpus, output=tmp_path / "run"))
    for name in ("encoder.safetensors", "losses.csv"):
        assert (disk / "run" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()


@pytest.mark.slow
def test_evaluation_keeps_the_trials_that_fitted(disk, tmp_path):
    corpus = write_corpus(tmp_path / "tones", clips=20, seconds=0.25)
    factors = dict.fromkeys((*PRETRAINING, *DOWNSTREAM), "none")
    config = {
        **{"encoder": {"name": "pase", "options": SMALL}, "head": {"name": "linear", "options": {}}},
        **{"scenario": "supervised", "fraction": "100pct", "trials": 3, "training": {"max_epochs": 1}},
        "factors": factors,
    }
    argv = ["--config", json.dumps(config), "--code", "c", "--corpus", str(corpus.folder), "--output"]
    log = tmp_path / "log"
    given = (evaluate.main, [*argv, str(disk / "cell")], str(disk), "after the first trial")
    (code,) = processes.exit_codes([processes.start(job_on_a_filling_disk, *given, log=log)])
    ends_in_one_line(log, code, "trial1.npz")
    assert [path.name for path in (disk / ".cell.trials").iterdir()] == ["trial0.npz"]
    assert not list(disk.glob("cell/*"))
    free_space(disk)
    evaluate.main([*argv, str(disk / "cell")])
    evaluate.main([*argv, str(tmp_path / "cell")])
    assert (disk / "cell/predictions.npz").read_bytes() == (tmp_path / "cell/predictions.npz").read_bytes()
