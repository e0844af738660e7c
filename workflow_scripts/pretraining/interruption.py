"""Being asked to stop: a scheduler's warning, a cancelled job or Ctrl-C."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

from workflow_scripts.core.errors import EXIT_TRY_AGAIN
from workflow_scripts.pretraining import distributed

EXIT_INTERRUPTED = EXIT_TRY_AGAIN
#: SLURM sends SIGTERM, or what `--signal` names (USR1 by habit), before it kills
WATCHED = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class InterruptedRunError(Exception):
    """The run stopped because it was asked to; its state is saved."""


class Interruption:
    """While entered, notes a request to stop instead of dying from it.

    `requested` is the signal's name, or None, as of the last `agree`: of several processes all stop or none does.
    """

    def __init__(self) -> None:
        """Note nothing yet."""
        self.requested: str | None = None
        self._noted = 0  # the signal's number
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interruption:
        """Take over the signals (only the main thread can)."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in WATCHED}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def agree(self) -> None:
        """Learn what any process has been asked; every process must call it at the same point."""
        number = distributed.largest(self._noted)
        self.requested = signal.Signals(number).name if number else None

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal.signal passes it
        self._noted = number
