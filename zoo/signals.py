"""Signals that end a process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGXCPU)
"""Ctrl-C, kill, a closed terminal, Ctrl-\\, and a CPU time limit."""

Handler = Callable[[int, FrameType | None], Any]


@contextmanager
def install_handler(handler: Handler, *numbers: int) -> Iterator[dict[int, Any]]:
    """Install `handler` for signals during the body, and yield the previous handlers.

    Signals that the process was started to ignore (by `nohup`, or as a background job) stay
    ignored. Does nothing outside the main thread, which receives all signals.
    """
    previous: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        listened = [n for n in numbers if signal.getsignal(n) is not signal.SIG_IGN]
        previous |= {n: signal.signal(n, handler) for n in listened}
    try:
        yield previous
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


@contextmanager
def defer_signals() -> Iterator[None]:
    """Defer ending signals until the body has finished."""
    received: list[int] = []
    try:
        with install_handler(lambda number, frame: received.append(number), *ENDING):
            yield
    finally:
        for number in received:
            signal.raise_signal(number)
