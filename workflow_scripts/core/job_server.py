"""A process that has imported the large libraries and forks itself for each job, which so starts in no time.

It imports the libraries before its first job, and no code of Prelude but this: a job runs what is there when it starts.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.core import account, job_client

#: third-party imports that jobs with networks share: features need librosa's filters, and the import of a part loads
#: pandas (`late_library.py`)
LIBRARIES = ("torch", "pandas.core.api", "pydantic", "librosa.filters")
PR_SET_PDEATHSIG = 1  # of Linux's prctl: the signal a process gets when its parent dies
#: a request comes at once; after so many seconds its sender has been stopped
SECONDS_FOR_REQUEST = 30


@dataclass(frozen=True)
class Request:
    """A command, its working folder, environment and process group, and its standard streams."""

    command: list[str]
    folder: str
    environment: dict[str, str]
    group: int
    streams: list[int]


def start(*, libraries: Sequence[str] = LIBRARIES) -> subprocess.Popen | None:
    """Start a server and name it in the environment; it ends when its standard input is closed, as with this process.

    Only Linux has one: elsewhere a fork after the import of numerical libraries is not safe.
    """
    if sys.platform != "linux":
        return None
    folder = Path(tempfile.mkdtemp(prefix="prelude-"))
    path = folder / "jobs"
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), job_client.THREADS)
    os.environ[job_client.ENVIRONMENT_VARIABLE] = str(path)
    return subprocess.Popen(
        [sys.executable, "-m", __name__, str(path), *libraries],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,  # an interrupt from the terminal is for the jobs, not for the server
        env={**os.environ, **threads, job_client.THREADS_VARIABLE: job_client.THREADS},
    )


class JobServer:
    """Forks a child for each request, passes signals to it, and its end back."""

    def __init__(self, path: Path, *, libraries: Sequence[str]) -> None:
        """Listen at `path` until standard input is closed."""
        self.path = path
        self.libraries = libraries
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.events = selectors.DefaultSelector()
        self.events.register(self.listener, selectors.EVENT_READ, None)
        self.events.register(sys.stdin, selectors.EVENT_READ, None)
        self.connections: dict[int, socket.socket] = {}

    def serve(self) -> Request | None:
        """Serve requests; in a child return its request, in the server None at the end of standard input."""
        while True:
            for key, _ in self.events.select():
                if key.fileobj is sys.stdin:
                    shutil.rmtree(self.path.parent, ignore_errors=True)
                    return None
                if key.fileobj is self.listener:
                    if request := self._accept():
                        return request
                elif isinstance(key.fileobj, socket.socket):
                    self._pass_signals(key.fileobj, pid=key.data)
                else:
                    self._report_end(key)

    def _accept(self) -> Request | None:
        """Fork for the next request; return it in the child, None in the server."""
        connection, _ = self.listener.accept()
        connection.settimeout(SECONDS_FOR_REQUEST)
        try:
            request = _receive(connection)
            self._import_libraries()
            connection.sendall(b"1")
        except (OSError, ValueError, TypeError):  # the client is gone, or its request is none
            connection.close()
            return None
        pid = os.fork()
        if not pid:
            connection.close()
            self._close()
            return request
        for stream in request.streams:
            os.close(stream)
        self.connections[pid] = connection
        self.events.register(connection, selectors.EVENT_READ, pid)
        self.events.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
        return None

    def _import_libraries(self) -> None:
        """Import the libraries before the first fork."""
        for name in self.libraries:
            importlib.import_module(name)
        if self.libraries:
            gc.freeze()  # else each job searches the libraries' objects for garbage as it ends, for most of a second
        self.libraries = ()

    def _pass_signals(self, connection: socket.socket, *, pid: int) -> None:
        """Send a child the signals of its client, or kill it if the client is gone."""
        if pid not in self.connections:
            return  # the job has just ended
        numbers = b""
        with contextlib.suppress(OSError):
            numbers = connection.recv(1)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, numbers[0] if numbers else signal.SIGKILL)
        if not numbers:
            self.events.unregister(connection)

    def _report_end(self, key: selectors.SelectorKey) -> None:
        """Send a client the return code of its job."""
        _, status = os.waitpid(key.data, 0)
        self.events.unregister(key.fileobj)
        os.close(key.fd)
        connection = self.connections.pop(key.data)
        with contextlib.suppress(OSError):
            connection.sendall(struct.pack("!i", os.waitstatus_to_exitcode(status)))
        with contextlib.suppress(KeyError):  # the client is gone
            self.events.unregister(connection)
        connection.close()

    def _close(self) -> None:
        """Close, in a child, all that belongs to the server and to other jobs."""
        for key in list(self.events.get_map().values()):
            if isinstance(key.fileobj, int):
                os.close(key.fileobj)
        for connection in self.connections.values():
            connection.close()
        self.listener.close()
        self.events.close()


def _receive(connection: socket.socket) -> Request:
    header, streams, _, _ = socket.recv_fds(connection, struct.calcsize("!Q"), maxfds=3)
    if len(header) < struct.calcsize("!Q"):
        raise ValueError("no request")
    (size,) = struct.unpack("!Q", header)
    with connection.makefile("rb") as file:
        content: dict[str, Any] = json.loads(file.read(size))
    return Request(**content, streams=streams)


def _become(request: Request, *, parent: int) -> None:
    """Take on the surroundings of a job, in a child of the server."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    with contextlib.suppress(OSError):  # another session: the terminal's signals do not reach the job
        os.setpgid(0, request.group)
    for target, stream in enumerate(request.streams):
        os.dup2(stream, target)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request.environment)
    account.adapt_environment()  # a program of its own would do so at its start
    os.chdir(request.folder)
    sys.path[0] = request.folder
    sys.argv[1:] = request.command[1:]


def main() -> None:
    """Serve until standard input is closed; in a child, run its command."""
    server = os.getpid()
    request = JobServer(Path(sys.argv[1]), libraries=sys.argv[2:]).serve()
    if request:
        _become(request, parent=server)
        runpy.run_module(request.command[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
