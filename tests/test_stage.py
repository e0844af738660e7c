"""Copies of corpora on the disk of a node, as jobs find them."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.checkout import REPOSITORY
from tests.corpora import write_corpus
from workflow_scripts import stage
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.configuration.load import load
from workflow_scripts.core import result_files
from workflow_scripts.core.checksums import checksums, write_record
from workflow_scripts.planning.plan import Plan

#: the command; the folders of tests may be in memory
PROGRAM = "from pathlib import Path; from workflow_scripts import stage; stage.MOUNTS = Path('nowhere'); stage.main()"
COMMAND = [sys.executable, "-c", PROGRAM]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A prepared corpus on the shared file system."""
    return make_corpus(tmp_path / "shared/openmic")


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """The disk of a node."""
    folder = tmp_path / "node"
    folder.mkdir()
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs a job whose command is preceded by `stage`, and returns the command that runs."""
    commands: list[list[str]] = []
    monkeypatch.setattr(stage, "MOUNTS", Path("nowhere"))  # the folders of tests may be in memory
    monkeypatch.setattr(stage.os, "execvp", lambda _, command: commands.append(command))

    def run_stage(folder: Path | str, *command: str) -> list[str]:
        stage.main([str(folder), "python", *command])
        return commands.pop()

    return run_stage


def make_corpus(folder: Path, *, seed: int = 0) -> Path:
    write_corpus(folder, seed=seed)
    facts = folder / result_files.CORPUS_FACTS
    write_record(folder / result_files.RECORD, {"dataset": folder.name}, files=checksums(facts))
    return folder


def end_jobs(node: Path) -> None:
    """Give back the locks that this process holds, as the jobs that it stands for do when they end."""
    for path in Path("/proc/self/fd").iterdir():
        if path.exists() and path.resolve().is_relative_to(node):
            os.close(int(path.name))


def test_a_job_reads_copies_with_the_content_of_the_originals(run, corpus, node):
    features = corpus / "lps.npy"
    np.save(features, np.ones(3))
    write_record(corpus / "lps.json", {}, files=checksums(features))
    words = run(node, "pretrain", "--corpus", str(corpus), f"--features=lps={features}", "--output", "x")
    copy, of_features = Path(words[3]), Path(words[4].rpartition("=")[2])
    assert words == ["python", "pretrain", "--corpus", str(copy), f"--features=lps={of_features}", "--output", "x"]
    assert copy.parent == of_features.parent.parent == node / f"prelude-{os.getuid()}"
    assert Corpus(copy).facts == Corpus(corpus).facts
    np.testing.assert_array_equal(Corpus(copy).samples, Corpus(corpus).samples)
    np.testing.assert_array_equal(np.load(of_features), np.ones(3))


def test_jobs_of_a_node_share_a_copy_and_wait_until_it_is_whole(corpus, node):
    command = [*COMMAND, str(node), "echo", "embed", "--corpus", str(corpus)]
    jobs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) for _ in range(3)]
    copies = {job.communicate()[0].split()[-1] for job in jobs}
    assert len(copies) == 1
    assert Path(copies.pop()).parent == node / f"prelude-{os.getuid()}"


def test_a_copy_is_made_once_and_again_when_it_is_damaged(run, corpus, node, monkeypatch):
    words = run(node, "embed", "--corpus", str(corpus))
    with monkeypatch.context() as patch:
        patch.delattr(stage.shutil, "copyfile")
        assert run(node, "weigh", "--corpus", str(corpus))[3] == words[3], "while the other job reads it"
    audio = Path(words[3]) / result_files.audio_file()
    audio.write_bytes(b"other")
    assert run(node, "embed", "--corpus", str(corpus)) == words
    assert audio.stat().st_size > 5


@pytest.mark.parametrize("command", [["extract"], ["audit"], ["evaluate", "--embeddings", "x.npy"]])
def test_other_jobs_read_the_originals(run, corpus, node, command):
    assert run(node, *command, "--corpus", str(corpus))[-1] == str(corpus)
    assert list(node.iterdir()) == []


def make_fault(fault: str, *, node: Path, corpus: Path) -> Path | str:
    """Make a node's disk, or the corpus, one that cannot be copied; return the folder for copies."""
    own = node / f"prelude-{os.getuid()}"
    match fault:
        case "missing":
            return node / "none"
        case "variable":
            return "$NO_SUCH_VARIABLE_HERE/scratch"
        case "writable":
            own.mkdir()
            own.chmod(0o777)
        case "link":
            own.symlink_to(node.parent)
        case "damaged":
            (corpus / result_files.audio_file()).write_bytes(b"other")
    return node


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("full", "GB free and"),
        ("memory", "is in memory, not on a disk"),
        ("missing", "No such file"),
        ("variable", "No such file"),
        ("writable", "you alone may write to"),
        ("link", "you alone may write to"),
        ("damaged", "is not the file that its job wrote"),
    ],
)
def test_where_no_copy_can_be_one_line_says_why(run, corpus, node, monkeypatch, capsys, *, fault, reason):
    folder = make_fault(fault, node=node, corpus=corpus)
    if fault == "full":
        monkeypatch.setattr(stage, "MARGIN_BYTES", 1 << 60)
    elif fault == "memory":
        mounts = node.with_name("mounts")
        mounts.write_text(f"disk / ext4 rw 0 0\nram {node} tmpfs rw 0 0\ndisk {corpus} ext4 rw 0 0\n")
        monkeypatch.setattr(stage, "MOUNTS", mounts)
    assert run(folder, "embed", "--corpus", str(corpus))[-1] == str(corpus)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"prelude: note: {corpus / 'corpus.json'} and its files are read where they are")
    assert reason in lines[0]


def test_unused_copies_make_room_and_used_ones_stay(run, corpus, node, monkeypatch, tmp_path):
    unused = Path(run(node, "embed", "--corpus", str(corpus))[3])
    end_jobs(node)
    used = Path(run(node, "embed", "--corpus", str(make_corpus(tmp_path / "shared/gtzan", seed=1)))[3])
    monkeypatch.setattr(stage, "MARGIN_BYTES", 1 << 60)
    run(node, "embed", "--corpus", str(make_corpus(tmp_path / "shared/msd", seed=2)))
    assert (unused.exists(), used.exists()) == (False, True)


def test_a_copy_that_no_job_has_read_for_a_week_is_removed(run, corpus, node, tmp_path):
    old = Path(run(node, "embed", "--corpus", str(corpus))[3])
    end_jobs(node)
    os.utime(old, (0, time.time() - 8 * 24 * 3600))
    run(node, "embed", "--corpus", str(make_corpus(tmp_path / "shared/gtzan", seed=1)))
    assert not old.exists()


def test_what_a_killed_job_left_is_no_copy(run, corpus, node):
    words = run(node, "embed", "--corpus", str(corpus))
    end_jobs(node)
    copy = Path(words[3])
    copy.rename(copy.with_name(f"{copy.name}.partial"))
    assert run(node, "embed", "--corpus", str(corpus)) == words
    assert sorted(path.name for path in copy.parent.iterdir() if path.is_dir()) == [copy.name]


def test_a_job_holds_a_lock_until_it_ends(corpus, node):
    command = [*COMMAND, str(node), "sh", "-c", "echo; read line", "embed", "--corpus", str(corpus)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY) as job:
        assert job.stdout is not None
        job.stdout.readline()
        (lock,) = (node / f"prelude-{os.getuid()}").glob("*[0-9a-f].lock")
        with lock.open("a") as handle, pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        job.communicate(b"")
        with lock.open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_no_job_runs_again_because_of_copies():
    folder = REPOSITORY / "config"
    plans = []
    for setting in ({}, {"stage": True}, {"stage": "$TMPDIR"}):
        content, _ = load([folder / "config.yaml", folder / "demo.yaml"], folder=folder)
        config, studies = load([], folder=folder, merged=content.model_dump(exclude_none=True) | setting)
        plans.append(Plan(config, studies, {}))
    jobs = [[plan.jobs.pretrain(run) for run in plan.pretrained_runs] for plan in plans]
    assert jobs[0] == jobs[1] == jobs[2] != []


def test_without_a_command_one_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        stage.main(["/scratch"])
    assert capsys.readouterr().err.endswith("stage: error: no command of a job is given\n")
