"""The signals that ask a process to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGXCPU)
"""Ctrl-C, a polite kill, a terminal that was closed, Ctrl-\\, and a limit of CPU time."""

Handler = Callable[[int, FrameType | None], Any]


@contextmanager
def handled(handler: Handler, *numbers: int) -> Iterator[dict[int, Any]]:
    """Calls `handler` for these signals while the body runs; gives the handlers before it.

    A signal that the process was started to ignore (`nohup`, the background jobs of a script)
    stays ignored. Outside of the main thread, where no signal arrives, nothing is changed.
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
def put_off() -> Iterator[None]:
    """Lets the body come to its end before a signal to end is obeyed."""
    noted: list[int] = []
    try:
        with handled(lambda number, frame: noted.append(number), *ENDING):
            yield
    finally:
        for number in noted:
            signal.raise_signal(number)


__all__ = ["ENDING", "handled", "put_off"]
