"""Ends of decoding programs: which are the fault of a file, and which came from outside."""

from __future__ import annotations

import signal

#: signals by which a program ends itself: bad memory accesses, failed assertions, arithmetic
FAULT_SIGNALS = frozenset({
    signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGSYS,
})  # fmt: skip


def outside_signal(returncode: int) -> str | None:
    """Return the name of the signal if a program was killed from outside, by a user or the system; otherwise None."""
    if returncode >= 0 or -returncode in FAULT_SIGNALS:
        return None
    try:
        return signal.Signals(-returncode).name
    except ValueError:  # a real-time signal
        return f"signal {-returncode}"
