"""What an interrupt, or a request to terminate, does to a run."""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ["termination_as_interrupt", "uninterrupted"]


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Treat a request to terminate, or a terminal that is closed, like an interrupt.

    So nothing is left half done. A hang-up that is ignored already, as below ``nohup``, stays so.
    """
    handlers = {signal.SIGTERM: signal.default_int_handler}
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        handlers[signal.SIGHUP] = signal.default_int_handler
    with _handling(handlers):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let the last few milliseconds come to their end."""
    with _handling(dict.fromkeys((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), signal.SIG_IGN)):
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
