"""Jobs as forks of the job server: a shell sees no difference to programs of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from workflow_scripts.core import job_client, job_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a job server")

#: a command of a package named workflow_scripts in a folder of its own
COMMAND = """
import json, os, signal, sys, time
from pathlib import Path
_, action, *rest = sys.argv
if action == "describe":
    print(json.dumps({"arguments": rest, "folder": os.getcwd(), "name": __name__, "variable": os.environ.get("A"),
                      "input": sys.stdin.read(), "parent": os.getppid(), "loaded": "colorsys" in sys.modules}))
    print("to standard error", file=sys.stderr)
elif action == "exit":
    sys.exit(int(rest[0]))
elif action == "raise":
    raise ValueError("wrong")
elif action == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
elif action == "sleep":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(17))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    Path(rest[0]).write_text(str(os.getpid()))
    time.sleep(20)
"""


class Server:
    """A job server for a package of one command."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        package = folder / "workflow_scripts"
        shutil.copytree(Path(job_server.__file__).parent, package / "core")
        (package / "__init__.py").touch()
        (package / "act.py").write_text(COMMAND)
        self.folder = folder
        monkeypatch.chdir(folder)
        monkeypatch.setenv("PYTHONPATH", str(folder))
        monkeypatch.setenv(job_client.THREADS_VARIABLE, "1")
        monkeypatch.setenv(job_client.ENVIRONMENT_VARIABLE, "")  # restored after the test
        monkeypatch.setenv("TMPDIR", str(folder))
        monkeypatch.setattr("tempfile.tempdir", None)
        process = job_server.start(libraries=["colorsys"])
        assert process is not None
        self.process = process
        wait_for(Path(os.environ[job_client.ENVIRONMENT_VARIABLE]))

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-I", "-S", job_client.__file__, "act", *arguments]

    def run(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=20, check=False, **options
        )

    def sleep(self) -> tuple[subprocess.Popen, int]:
        """Start a job that sleeps; return its client and the job's process number."""
        file = self.folder / "pid"
        file.unlink(missing_ok=True)
        client = subprocess.Popen(self.command("sleep", str(file)), stderr=subprocess.PIPE, text=True)
        wait_for(file)
        while not file.read_text():
            time.sleep(0.01)
        return client, int(file.read_text())


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


def wait_for_end(pid: int) -> None:
    """Wait until a process has ended, which may still be listed as a zombie."""
    deadline = time.monotonic() + 20
    status = Path(f"/proc/{pid}/stat")
    while status.exists() and status.read_text().rsplit(")")[1].split()[0] != "Z":
        assert time.monotonic() < deadline, pid
        time.sleep(0.01)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server(tmp_path, monkeypatch)
    yield server
    assert server.process.stdin is not None
    server.process.stdin.close()
    assert server.process.wait(timeout=20) in (0, -signal.SIGKILL)


def test_a_job_has_the_arguments_folder_environment_and_streams_of_its_client(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    result = server.run(
        "describe", "x y", '{"k": "ü"}', cwd=folder, env={**os.environ, "A": "2"}, input="from standard input"
    )
    assert result.returncode == 0
    assert result.stderr == "to standard error\n"
    assert json.loads(result.stdout) == {
        "arguments": ["x y", '{"k": "ü"}'],
        "folder": str(folder),
        "name": "__main__",
        "variable": "2",
        "input": "from standard input",
        "parent": server.process.pid,
        "loaded": True,
    }


def test_a_job_runs_the_code_that_is_there_when_it_starts(server: Server) -> None:
    assert server.run("exit", "3").returncode == 3
    file = server.folder / "workflow_scripts" / "act.py"
    file.write_text(file.read_text().replace("int(rest[0])", "int(rest[0]) + 1"))
    assert server.run("exit", "3").returncode == 4


def test_codes_tracebacks_and_signals_reach_the_shell(server: Server) -> None:
    assert server.run("exit", "0").returncode == 0
    failed = server.run("raise")
    assert failed.returncode == 1
    assert failed.stderr.endswith("ValueError: wrong\n")
    assert server.run("kill").returncode == -signal.SIGKILL


def test_jobs_run_side_by_side(server: Server) -> None:
    (first, one), (second, other) = server.sleep(), server.sleep()
    assert one != other
    for client in (second, first):
        client.terminate()
        assert client.wait(timeout=20) == 17


def test_a_killed_client_takes_its_job_with_it(server: Server) -> None:
    client, pid = server.sleep()
    client.kill()
    wait_for_end(pid)
    assert server.run("exit", "5").returncode == 5


@pytest.mark.parametrize("request_bytes", [b"", b"\0\0", b"\0" * 7 + b"\2{}", b"\0" * 7 + b"\1{", b"\0" * 8 + b"{"])
def test_a_request_that_is_cut_harms_no_other(server: Server, request_bytes: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(os.environ[job_client.ENVIRONMENT_VARIABLE])
        client.sendall(request_bytes)
    assert server.run("exit", "5").returncode == 5
    assert server.process.poll() is None


def test_a_killed_server_ends_its_jobs_in_one_line_and_the_next_ones_are_programs(server: Server) -> None:
    client, pid = server.sleep()
    server.process.kill()
    assert client.wait(timeout=20) == 1
    assert client.stderr is not None
    assert "the process that starts jobs was killed" in client.stderr.read()
    wait_for_end(pid)
    described = json.loads(server.run("describe", input="").stdout)
    assert described["parent"] == os.getpid()
    assert not described["loaded"]


def test_the_end_of_snakemake_ends_server_and_jobs(server: Server) -> None:
    client, pid = server.sleep()
    assert server.process.stdin is not None
    server.process.stdin.close()
    assert server.process.wait(timeout=20) == 0
    assert client.wait(timeout=20) == 1
    wait_for_end(pid)
    assert not Path(os.environ[job_client.ENVIRONMENT_VARIABLE]).parent.exists()


@pytest.mark.parametrize("threads", ["2", None])
def test_a_job_of_several_threads_is_a_program(
    server: Server, monkeypatch: pytest.MonkeyPatch, threads: str | None
) -> None:
    if threads:
        monkeypatch.setenv(job_client.THREADS_VARIABLE, threads)
    else:
        monkeypatch.delenv(job_client.THREADS_VARIABLE)
    assert json.loads(server.run("describe", input="").stdout)["parent"] == os.getpid()


def test_an_interrupt_from_the_terminal_reaches_the_job_once(server: Server) -> None:
    file = server.folder / "pid"
    client = subprocess.Popen(server.command("sleep", str(file)), stderr=subprocess.PIPE, text=True, process_group=0)
    wait_for(file)
    os.killpg(client.pid, signal.SIGINT)
    assert client.wait(timeout=20) == -signal.SIGINT
    assert client.stderr is not None
    assert client.stderr.read().endswith("KeyboardInterrupt\n")
