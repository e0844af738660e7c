"""A stop signal waits until the training asks for it: no thread that computes is interrupted."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from workflow_scripts.pretraining.interruption import STOP_SIGNALS, Interruption


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_is_pending_until_it_is_asked_for(number):
    with Interruption() as interruption:
        os.kill(os.getpid(), number)
        assert number in signal.sigpending()  # so no handler has run on the stack of this thread
        assert interruption.requested is None
        interruption.synchronize()
        assert interruption.requested == signal.Signals(number).name
        assert number not in signal.sigpending()


def test_threads_that_start_within_do_not_receive_the_signals():
    masks = []
    with Interruption():
        thread = threading.Thread(target=lambda: masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
        thread.start()
        thread.join()
    assert set(STOP_SIGNALS) <= masks[0]


def test_handlers_and_blocked_signals_are_as_before_and_a_signal_of_the_last_step_ends_nothing():
    handlers = [signal.getsignal(number) for number in STOP_SIGNALS]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with Interruption():
        os.kill(os.getpid(), signal.SIGTERM)
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == handlers
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask
