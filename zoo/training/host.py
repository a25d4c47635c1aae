"""Settings of the process that training runs in."""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from zoo import signals

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_GIGABYTE = 2**30


def keep_freed_memory() -> None:
    """Let the C library keep freed memory instead of returning it to the system at once.

    Training frees and asks for the same large blocks every step; fetching their pages anew took a
    fifth of the time of a VAE step on a CPU. Does nothing where the C library is not glibc.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _GIGABYTE)
        mallopt(_M_TRIM_THRESHOLD, 2 * _GIGABYTE - 1)
        mallopt(_M_TOP_PAD, _GIGABYTE // 16)


class Interrupt:
    """Set by the first of `zoo.signals.ENDING`; `signal` is its number, or None."""

    signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Turn the first signal to end, Ctrl-C or another, into a flag; a second one acts as ever."""
    interrupt = Interrupt()

    def note(number: int, frame: FrameType | None) -> None:
        interrupt.signal = number
        for one, handler in previous.items():
            signal.signal(one, handler)

    with signals.handled(note, *signals.ENDING) as previous:
        yield interrupt


def setup_threads(count: int | None) -> None:
    """Let PyTorch use `count` CPU threads; None leaves its choice."""
    if count is not None:
        import torch

        torch.set_num_threads(count)
