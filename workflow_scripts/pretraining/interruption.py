"""Requests to stop: a scheduler's warning, a cancelled job or Ctrl-C."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

from workflow_scripts.core.errors import EXIT_TRY_AGAIN
from workflow_scripts.pretraining import distributed

EXIT_INTERRUPTED = EXIT_TRY_AGAIN
#: SLURM sends SIGTERM, or the signal of `--signal` (USR1 by habit), before it kills
STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class InterruptedRunError(Exception):
    """The run was asked to stop, and its state is saved."""


class Interruption:
    """Context in which a stop signal is recorded instead of ending the process.

    `requested` is the name of the signal, or None, as of the last `synchronize`: all processes stop or none.

    The thread that enters, and threads that start within, block the signals, which stay pending until `synchronize`
    asks for them: a handler would run on the stack of a thread that computes. With handlers, about one stop in ten
    ended with weights that were not finite or a damaged heap (torch 2.11, AVX-512; the native code at fault is not
    known). Threads that are older may still receive a signal, so enter before tensors are computed.
    """

    def __init__(self) -> None:
        """Start without a request."""
        self.requested: str | None = None
        self._received = 0  # number of the signal; 0: none
        self._previous_handlers: dict[int, object] = {}
        self._previous_mask: set[int] = set()

    def __enter__(self) -> Interruption:
        """Install the signal handlers (only the main thread can), and block the signals."""
        if threading.current_thread() is threading.main_thread():
            self._previous_handlers = {number: signal.signal(number, self._record) for number in STOP_SIGNALS}
        self._previous_mask = set(signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Restore the previous handlers, and unblock the signals, without those that were recorded."""
        self._take_pending()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._previous_mask)
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def synchronize(self) -> None:
        """Share the signals received by any process; every process must call this at the same point."""
        self._take_pending()
        number = distributed.all_reduce_max(self._received)
        self.requested = signal.Signals(number).name if number else None

    def _take_pending(self) -> None:
        """Record the signals that are pending, and take them from the process."""
        for number in signal.sigpending() & set(STOP_SIGNALS):
            self._received = signal.sigwait([number])

    def _record(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal.signal passes it
        self._received = number
