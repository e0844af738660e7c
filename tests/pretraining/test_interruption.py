"""A stop signal waits until the training asks for it: no thread that computes is interrupted."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from tests import processes
from workflow_scripts.pretraining.interruption import STOP_SIGNALS, Interruption


def assert_pending_until_asked(number: int) -> None:
    """Receive a signal within an interruption, and assert when it is pending and when recorded."""
    with Interruption() as interruption:
        os.kill(os.getpid(), number)
        assert number in signal.sigpending(), "a handler has run on the stack of this thread"
        assert interruption.requested is None
        interruption.synchronize()
        assert interruption.requested == signal.Signals(number).name
        assert number not in signal.sigpending()


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_is_pending_until_it_is_asked_for(number, tmp_path):
    # In a process of its own, as jobs are: threads of earlier tests would receive the signal in this one.
    process = processes.start(assert_pending_until_asked, int(number), log=tmp_path / "log")
    assert processes.exit_codes([process]) == [0], (tmp_path / "log").read_text()


def test_threads_that_start_within_do_not_receive_the_signals():
    masks = []
    with Interruption():
        thread = threading.Thread(target=lambda: masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
        thread.start()
        thread.join()
    assert set(STOP_SIGNALS) <= masks[0]


def assert_all_as_before() -> None:
    """Receive a signal at the end of an interruption, and assert that handlers and blocked signals are as before."""
    handlers = [signal.getsignal(number) for number in STOP_SIGNALS]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with Interruption():
        os.kill(os.getpid(), signal.SIGTERM)
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == handlers
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask


def test_handlers_and_blocked_signals_are_as_before_and_a_signal_of_the_last_step_ends_nothing(tmp_path):
    process = processes.start(assert_all_as_before, log=tmp_path / "log")
    assert processes.exit_codes([process]) == [0], (tmp_path / "log").read_text()
