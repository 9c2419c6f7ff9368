"""What SIGTERM and Ctrl-C do."""

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from flows.pairs.signals import WAKE_S, Signals, ending_signals, handled, interrupt, wait_heeding_signals

MANY_SIGNALS = """
import os, signal, threading, time
from flows.pairs.signals import Signals

def send():
    while time.monotonic() < end:
        os.kill(os.getpid(), signal.SIGTERM)

signals, end = Signals(), time.monotonic() + 1
with signals.heard():
    sender = threading.Thread(target=send)
    sender.start()
    while sender.is_alive():
        signals.wait(0.001)
    print(signals.count > 0)
"""


def test_it_returns_when_all_are_done():
    with ThreadPoolExecutor(2) as threads:
        futures = [threads.submit(time.sleep, seconds) for seconds in (0.05, WAKE_S + 0.2)]
        wait_heeding_signals(futures)
        assert all(future.done() for future in futures)


def test_a_signal_that_another_thread_was_given_is_heard():
    """Nothing wakes the main thread then, as if the signal had come right before it fell asleep."""
    future: Future[None] = Future()

    def signalled() -> None:
        time.sleep(0.2)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    signalling = threading.Thread(target=signalled)
    unheard = threading.Timer(20, future.set_result, [None])
    unheard.start()
    try:
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012  (it may come before the wait has begun)
            signalling.start()
            wait_heeding_signals([future])
        assert not future.done()
    finally:
        unheard.cancel()


def test_signals_may_come_at_any_moment():
    done = subprocess.run([sys.executable, "-c", MANY_SIGNALS], capture_output=True, text=True, timeout=60)
    assert done.stdout == "True\n", done.stderr


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), handled(interrupt, signal.SIGTERM):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_lost_terminal_ends_a_program_unless_it_is_told_to_go_on():
    assert ending_signals() == (signal.SIGTERM, signal.SIGHUP)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        assert ending_signals() == (signal.SIGTERM,)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_lost_terminal_asks_to_drain():
    signals = Signals()
    with signals.heard():
        signal.raise_signal(signal.SIGHUP)
    assert signals.count == 1
