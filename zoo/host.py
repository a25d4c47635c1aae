"""The process that PyTorch runs in: its memory, its threads, and the signals that end it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from zoo import signals
from zoo.errors import ConfigError, TrainingError, is_out_of_memory

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


MOST_THREADS = 1024
"""Limit on PyTorch's threads: more would only wait for each other."""


def setup_threads(count: int | None) -> None:
    """Let PyTorch use `count` CPU threads; None leaves its choice.

    Raises `ConfigError` for more than `MOST_THREADS`, or than the system lets the process have.
    """
    name, given = "threads", count
    if given is None:
        name, text = "OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "")
        given = int(text) if text.isdecimal() else 1
    if not 1 <= given <= MOST_THREADS:
        raise ConfigError(f"{name}: expected a number from 1 to {MOST_THREADS}, got {given}")
    if given > (os.cpu_count() or 1):
        _try_threads(name, given)
    if count is not None:
        import torch

        torch.set_num_threads(count)


def _try_threads(name: str, count: int) -> None:
    """Raise `ConfigError` where so many threads cannot be: OpenMP would end the process."""
    done = threading.Event()
    made: list[threading.Thread] = []
    try:
        for _ in range(count):
            made.append(threading.Thread(target=done.wait, daemon=True))
            made[-1].start()
    except RuntimeError as error:
        raise ConfigError(
            f"{name}: the system lets {len(made) - 1} threads more begin, got {count}"
        ) from error
    finally:
        done.set()
        for thread in made:
            if thread.ident is not None:
                thread.join()


@contextmanager
def memory_errors(batch_size: int) -> Iterator[None]:
    """Turn what says that there is too little memory into a `TrainingError` with what helps."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        problem = str(error).partition("\n")[0]
        raise TrainingError(
            f"out of memory in steps of {batch_size} images: take a smaller batch size or a "
            f"smaller model; the last good checkpoint is kept ({problem or 'no more is known'})"
        ) from error
