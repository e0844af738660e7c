"""Run a command as a fork of the job server; without a server, as a program of its own.

This file is run by its path with the standard library alone, because its own start must cost next to nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import sys
from pathlib import Path

ENVIRONMENT_VARIABLE = "PRELUDE_JOB_SERVER"  # path of the server's socket
#: numerical libraries read it as they are loaded, and the server has loaded them with this number
THREADS_VARIABLE, THREADS = "OMP_NUM_THREADS", "1"
FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


def main() -> None:
    """Run `python -m workflow_scripts.<name> <arguments>` and end as it ends."""
    command = [f"workflow_scripts.{sys.argv[1]}", *sys.argv[2:]]
    connection = _start(command)
    if connection:
        end_as(_wait(connection))
    os.execv(sys.executable, [sys.executable, "-m", *command])


def end_as(return_code: int) -> None:
    """Exit with a code, or by the signal that a negative one names."""
    if return_code < 0:
        with contextlib.suppress(OSError):  # the handler of SIGKILL cannot be set
            signal.signal(-return_code, signal.SIG_DFL)
        os.kill(os.getpid(), -return_code)
    sys.exit(return_code)


def _start(command: list[str]) -> socket.socket | None:
    """Start a job of one thread; return the connection to the server, or None if there is no server."""
    path = os.environ.get(ENVIRONMENT_VARIABLE)
    if not path or os.environ.get(THREADS_VARIABLE) != THREADS:
        return None
    connection = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(OSError):
        connection.connect(path)
        _send(connection, command)
        if connection.recv(1):  # the job has started
            return connection
    return None


def _send(connection: socket.socket, command: list[str]) -> None:
    """Send the command, its surroundings and this process's standard streams."""
    request = {"command": command, "folder": str(Path.cwd()), "environment": dict(os.environ), "group": os.getpgrp()}
    content = json.dumps(request).encode()
    socket.send_fds(connection, [struct.pack("!Q", len(content))], [0, 1, 2])
    connection.sendall(content)


def _wait(connection: socket.socket) -> int:
    """Return the job's return code; meanwhile pass signals on to it."""
    for number in FORWARDED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda received, _: connection.sendall(bytes([received])))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the job too, which is in the same group
    answer = b""
    with contextlib.suppress(ConnectionError):
        answer = connection.recv(struct.calcsize("!i"))
    if not answer:
        sys.exit("prelude: the process that starts jobs was killed, and this job with it; run again")
    return struct.unpack("!i", answer)[0]


if __name__ == "__main__":
    main()
