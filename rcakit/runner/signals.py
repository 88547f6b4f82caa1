"""What an interrupt, or a request to terminate, does to a run."""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ["termination_as_interrupt", "uninterrupted"]


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Treat a request to terminate like one to interrupt, so that nothing is left half done."""
    with _handling({signal.SIGTERM: signal.default_int_handler}):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let the last few milliseconds come to their end."""
    with _handling({signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_IGN}):
        yield


@contextmanager
def _handling(handlers: Mapping[signal.Signals, Any]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
