"""Processes for code that is killed, or runs in parallel.

They start fast, because they are forks of a server that has imported torch and the package, but computed nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

from workflow_scripts.core.job_server import LIBRARIES

SERVER = multiprocessing.get_context("forkserver")
COMMANDS = ("prepare", "weigh", "pretrain", "embed", "evaluate", "aggregate", "tabulate")
SERVER.set_forkserver_preload(
    [*LIBRARIES, *(f"workflow_scripts.{name}" for name in COMMANDS), "workflow_scripts.encoders.pase"]
)


def start(target: Callable[..., object], *arguments: object, log: Path) -> BaseProcess:
    """Call a module-level function in a process; its output is appended to `log`."""
    return _start({}, target, arguments, log)


def start_group(target: Callable[..., object], *arguments: object, log: Path, size: int = 2) -> list[BaseProcess]:
    """Call a function in `size` processes with the environment that torchrun sets; return them in order of rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        _start({**common, "WORLD_SIZE": str(size), "RANK": str(rank), "LOCAL_RANK": str(rank)}, target, arguments, log)
        for rank in range(size)
    ]


def exit_codes(processes: list[BaseProcess]) -> list[int | None]:
    """Wait for processes and return their exit codes."""
    for process in processes:
        process.join(timeout=120)
    return [process.exitcode for process in processes]


def _start(
    environment: dict[str, str], target: Callable[..., object], arguments: tuple[object, ...], log: Path
) -> BaseProcess:
    process = SERVER.Process(target=_run, args=(environment, target, arguments, str(log)), daemon=True)
    process.start()
    return process


def _run(environment: dict[str, str], target: Callable[..., object], arguments: tuple[object, ...], log: str) -> None:
    os.environ.update(environment)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    target(*arguments)
