"""Several users and workflows on one folder: they wait their turn, and the message names the holder."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import processes
from tests.audio.recordings import write_tone
from tests.checkout import REPOSITORY
from tests.links import put_in_place
from workflow_scripts import acquire, prepare
from workflow_scripts.audio import build
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core.errors import EXIT_TRY_AGAIN, EXIT_USER_ERROR, UserError, run_command
from workflow_scripts.core.files import hold_lock

HOLD = """
import sys, time
from pathlib import Path
from workflow_scripts.core.files import hold_lock
with hold_lock(Path(sys.argv[1]), name="it", shared=sys.argv[2] == "shared"):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(path: Path, kind: str = "alone") -> subprocess.Popen[str]:
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLD, str(path), kind]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize(
    ("theirs", "ours", "allowed"),
    [("alone", False, False), ("alone", True, False), ("shared", False, False), ("shared", True, True)],
)
def test_who_holds_it_is_named_and_a_killed_process_lets_go(tmp_path, theirs, ours, allowed):
    path = tmp_path / ".lock"
    process = holder(path, theirs)
    try:
        if allowed:
            with hold_lock(path, name="it", shared=ours):
                pass
        else:
            expected = rf"it is in use by .+ on {socket.gethostname()} \(process {process.pid}, since 2.*\): wait"
            with pytest.raises(UserError, match=expected), hold_lock(path, name="it", shared=ours):
                pass
    finally:
        stop(process)
    with hold_lock(path, name="it"):
        pass


def without_flock(monkeypatch):
    def refuse(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    without_flock(monkeypatch)
    path, owner = tmp_path / ".lock", tmp_path / ".lock.owner"
    with hold_lock(path, name="it"):
        assert json.loads(owner.read_text())["process"] == os.getpid()
        for shared in (False, True):
            refusal = pytest.raises(UserError, match=r"or delete .*lock\.owner if that process has ended")
            with refusal, hold_lock(path, name="it", shared=shared):
                pass
        assert owner.exists()
    assert not owner.exists()
    with hold_lock(path, name="it", shared=True), hold_lock(path, name="it", shared=True):
        pass


@pytest.mark.parametrize(("host", "taken"), [(socket.gethostname(), True), ("another-host", False)])
def test_a_lock_left_by_a_dead_process_is_taken_over_on_its_own_host(tmp_path, monkeypatch, host, taken):
    without_flock(monkeypatch)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    owner = {"user": "ann", "host": host, "process": dead.pid, "since": "2020-01-01 00:00:00"}
    (tmp_path / ".lock.owner").write_text(json.dumps(owner))
    if taken:
        with hold_lock(tmp_path / ".lock", name="it"):
            pass
    else:
        with pytest.raises(UserError, match="ann on another-host"), hold_lock(tmp_path / ".lock", name="it"):
            pass


@pytest.mark.parametrize("content", ["", "{", "[]", '{"process": "x"}', "\0"])
def test_a_damaged_note_is_no_permission(tmp_path, monkeypatch, content):
    without_flock(monkeypatch)
    (tmp_path / ".lock.owner").write_text(content)
    with pytest.raises(UserError, match="in use by"), hold_lock(tmp_path / ".lock", name="it"):
        pass


@pytest.mark.skipif(os.getuid() != 0, reason="needs the right to become another user")
def test_another_user_can_read_but_not_change(tmp_path):
    """As two accounts that share a folder: the first made it, the second may only read it."""
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    root = tmp_path / "root"
    root.mkdir()
    with hold_lock(root / ".lock", name="it"):
        pass
    (root / "acquired.json").write_text("{}")
    log = tmp_path / "log"
    log.touch()
    log.chmod(0o666)
    (code,) = processes.exit_codes([processes.start(_as_nobody, "read", str(root), log=log)])
    assert code == 0, log.read_text()
    (code,) = processes.exit_codes([processes.start(_as_nobody, "change", str(root), log=log)])
    assert code == EXIT_USER_ERROR, log.read_text()
    assert "no permission for" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert (root / "acquired.json").exists()


def _as_nobody(what: str, root: str) -> None:
    os.setuid(65534)
    if what == "read":
        with hold_lock(Path(root) / ".lock", name="it", shared=True):
            return
    config = {"dataset": "toy", "loader": "folder", "source": "local", "path": root}
    run_command(lambda: acquire.main(["--config", json.dumps(config), "--code", "c", "--output", root]))


# --------------------------------------------------------------------------------------- two of the same jobs


@pytest.fixture
def data(tmp_path):
    for number in range(6):
        write_tone(tmp_path / "mine" / f"c{number}.wav", 0.5, pitch=300 + number)
    _acquire(tmp_path)
    return tmp_path / "data"


def _acquire(folder: Path) -> None:
    given = {"dataset": "toy", "loader": "folder", "source": "local", "path": str(folder / "mine")}
    acquire.main(["--config", json.dumps(given), "--code", "c", "--output", str(folder / "data")])


def _prepare(data: str, output: str, seconds: float, waiting: str | None = None) -> None:
    if waiting is not None:
        _wait_before_the_tables(Path(waiting))
    config = {"dataset": "toy", "loader": "folder", "options": {}, "sample_rate": 16_000, "clip_seconds": seconds}
    flags = ["--code", "c", "--acquired", f"{data}/acquired.json", "--output", output]
    run_command(lambda: prepare.main(["--config", json.dumps(config), *flags]))


def _wait_before_the_tables(sign: Path) -> None:
    write = build._write_parquet

    def after_a_while(*given):
        sign.touch()
        time.sleep(1.5)
        write(*given)

    build._write_parquet = after_a_while


def _in_the_middle_of(data: Path, output: Path, sign: Path, *, log: Path):
    process = processes.start(_prepare, str(data), str(output), 0.25, str(sign), log=log)
    deadline = time.monotonic() + 60
    while not sign.exists():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    return process


def test_two_prepares_of_one_corpus_do_not_mix(data, tmp_path):
    log, other = tmp_path / "log", tmp_path / "other"
    first = _in_the_middle_of(data, tmp_path / "out", tmp_path / "sign", log=log)
    second = processes.start(_prepare, str(data), str(tmp_path / "out"), 0.5, log=other)
    assert processes.exit_codes([first, second]) == [0, EXIT_TRY_AGAIN]
    assert f"prelude: {tmp_path / 'out'} is in use by" in other.read_text()
    corpus = Corpus(tmp_path / "out")
    assert set(corpus.lengths) == {4000}
    assert corpus.samples.size == 6 * 4000
    _prepare(str(data), str(tmp_path / "out"), 0.5)
    assert set(Corpus(tmp_path / "out").lengths) == {8000}


def test_data_do_not_change_while_they_are_prepared_and_others_may_read(data, tmp_path):
    first = _in_the_middle_of(data, tmp_path / "out", tmp_path / "sign", log=tmp_path / "log")
    with pytest.raises(UserError, match="data is in use by"):
        _acquire(tmp_path)
    _prepare(str(data), str(tmp_path / "elsewhere"), 0.25)
    assert processes.exit_codes([first]) == [0]
    assert Corpus(tmp_path / "out").facts.digest == Corpus(tmp_path / "elsewhere").facts.digest
    _acquire(tmp_path)


# --------------------------------------------------------------------------------- something else in a lock's place


@pytest.mark.parametrize("kind", ["symbolic link", "dangling link", "hard link", "folder", "pipe"])
@pytest.mark.parametrize("flock", [True, False])
def test_nothing_else_is_taken_for_a_lock(tmp_path, monkeypatch, kind, flock):
    """As a member of a group could put it into the folder of shared data, for another to write through."""
    if not flock:
        without_flock(monkeypatch)
    victim, root = tmp_path / "private", tmp_path / "data"
    root.mkdir()
    if kind != "dangling link":
        victim.write_text("private")
    put_in_place(kind, root / (".lock" if flock else ".lock.owner"), victim)
    with pytest.raises(UserError, match=r"is a link, a folder or no plain file.*delete it") as caught:
        _acquire_empty(root)
    assert "\n" not in str(caught.value)
    assert (victim.read_text() if kind != "dangling link" else victim.exists()) in ("private", False)


def _acquire_empty(root: Path) -> None:
    given = {"dataset": "toy", "loader": "folder", "source": "local", "path": str(root)}
    acquire.main(["--config", json.dumps(given), "--code", "c", "--output", str(root)])


@pytest.mark.parametrize("number", ["1e400", str(10**30), "-1", '"x"', "[" * 5000])
def test_any_number_of_a_process_in_an_owner_file_is_read(tmp_path, monkeypatch, number):
    without_flock(monkeypatch)
    (tmp_path / ".lock.owner").write_text(f'{{"host": "{socket.gethostname()}", "process": {number}}}')
    with pytest.raises(UserError, match="in use by"), hold_lock(tmp_path / ".lock", name="it"):
        pass


def test_a_folder_in_the_place_of_a_file_is_one_line(tmp_path, capsys):
    (tmp_path / "acquired.json").mkdir()
    with pytest.raises(SystemExit):
        run_command(lambda: _acquire_empty(tmp_path))
    assert capsys.readouterr().err.startswith("prelude: ")
