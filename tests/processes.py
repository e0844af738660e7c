"""Processes of their own for what must be killed, or run side by side; each starts in a moment.

They are forks of a server that has imported torch and the package, but computed nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["workflow_scripts.pretrain", "workflow_scripts.encoders.pase"])


def start(target: Callable[..., object], *given: object, log: Path) -> BaseProcess:
    """Call a module-level function in a process; what it prints is appended to `log`."""
    return _started({}, target, given, log)


def start_group(target: Callable[..., object], *given: object, log: Path, size: int = 2) -> list[BaseProcess]:
    """Call a function in `size` processes that know of each other as torchrun's do, in order of rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        _started({**common, "WORLD_SIZE": str(size), "RANK": str(rank), "LOCAL_RANK": str(rank)}, target, given, log)
        for rank in range(size)
    ]


def codes(processes: list[BaseProcess]) -> list[int | None]:
    """Wait for processes; return their exit codes."""
    for process in processes:
        process.join(timeout=120)
    return [process.exitcode for process in processes]


def _started(
    environment: dict[str, str], target: Callable[..., object], given: tuple[object, ...], log: Path
) -> BaseProcess:
    process = SERVER.Process(target=_run, args=(environment, target, given, str(log)), daemon=True)
    process.start()
    return process


def _run(environment: dict[str, str], target: Callable[..., object], given: tuple[object, ...], log: str) -> None:
    os.environ.update(environment)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    target(*given)
