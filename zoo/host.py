"""Process-wide settings for PyTorch: memory, threads, and signals."""

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

    Training frees and allocates the same large blocks in every step; faulting in their pages took
    a fifth of the time of a VAE step on a CPU. Does nothing unless the C library is glibc.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _GIGABYTE)
        mallopt(_M_TRIM_THRESHOLD, 2 * _GIGABYTE - 1)
        mallopt(_M_TOP_PAD, _GIGABYTE // 16)


class Interrupt:
    """Flag set by the first of `zoo.signals.ENDING`; `signal` is its number, or None."""

    signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None


@contextmanager
def catch_interrupt() -> Iterator[Interrupt]:
    """Turn the first ending signal, such as Ctrl-C, into a flag; a second one acts as usual."""
    interrupt = Interrupt()

    def note(number: int, frame: FrameType | None) -> None:
        interrupt.signal = number
        for one, handler in previous.items():
            signal.signal(one, handler)

    with signals.install_handler(note, *signals.ENDING) as previous:
        yield interrupt


MOST_THREADS = 1024
"""Limit on PyTorch's threads; more of them would only wait for each other."""


def setup_threads(count: int | None) -> None:
    """Set the number of PyTorch's CPU threads; None keeps PyTorch's choice.

    Raises `ConfigError` for more than `MOST_THREADS`, or more than the system allows.
    """
    name, threads = "threads", count
    if threads is None:
        name, text = "OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "")
        threads = int(text) if text.isdecimal() else 1
    if not 1 <= threads <= MOST_THREADS:
        raise ConfigError(f"{name}: expected a number from 1 to {MOST_THREADS}, got {threads}")
    if threads > (os.cpu_count() or 1):
        _check_threads(name, threads)
    if count is not None:
        import torch

        torch.set_num_threads(count)


def _check_threads(name: str, count: int) -> None:
    """Raise `ConfigError` if so many threads cannot be started; OpenMP would abort the process."""
    done = threading.Event()
    threads: list[threading.Thread] = []
    try:
        for _ in range(count):
            threads.append(threading.Thread(target=done.wait, daemon=True))
            threads[-1].start()
    except RuntimeError as error:
        raise ConfigError(
            f"{name}: the system allows {len(threads) - 1} more threads, got {count}"
        ) from error
    finally:
        done.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()


@contextmanager
def memory_errors(batch_size: int) -> Iterator[None]:
    """Turn out-of-memory errors into a `TrainingError` with advice."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        problem = str(error).partition("\n")[0]
        raise TrainingError(
            f"out of memory in steps of {batch_size} images: use a smaller batch size or a smaller "
            f"model; the last good checkpoint is kept ({problem or type(error).__name__})"
        ) from error
