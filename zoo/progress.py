"""Progress line on stderr."""

from __future__ import annotations

import sys
import time

from zoo.console import is_terminal

_TERMINAL_EVERY = 0.1
_LOG_EVERY = 5.0


class Progress:
    """Progress of a computation: done, rate and remaining time, shown after about a second.

    On a terminal it is one line that is rewritten; elsewhere nothing, or with
    `verbose` a new line every few seconds. Use it in a with statement.
    """

    def __init__(self, total: int, verbose: bool = False) -> None:
        self.done = 0
        self.total = total
        self._terminal = is_terminal(sys.stderr)
        self._silent = not (self._terminal or verbose)
        self._every = _TERMINAL_EVERY if self._terminal else _LOG_EVERY
        self._start = time.perf_counter()
        self._next = self._start + max(1.0, self._every)
        self._shown = False

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.perf_counter() - self._start

    def advance(self, count: int) -> None:
        """Add `count` finished images."""
        self.done += count
        if not self._silent and time.perf_counter() >= self._next:
            self._next = time.perf_counter() + self._every
            self._show()

    def _show(self) -> None:
        rate = self.done / self.seconds
        left = round((self.total - self.done) / rate)
        line = (
            f"{self.done:,} of {self.total:,} ({self.done / self.total:.0%})  "
            f"{rate:,.0f} images/s  {clock(left)} left"
        )
        # \x1b[K clears the rest of a longer previous line.
        sys.stderr.write(f"\r{line}\x1b[K" if self._terminal else f"{line}\n")
        sys.stderr.flush()
        self._shown = True

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown and self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def clock(seconds: int) -> str:
    """Format seconds: `75` → `1:15`, `3700` → `1:01:40`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def number_of_images(count: int) -> str:
    """Format a number of images: `1 image`, `1,203 images`."""
    return "1 image" if count == 1 else f"{count:,} images"


def rate(count: int, seconds: float) -> str:
    """Format a rate: `7,120 images/s`."""
    return f"{count / max(seconds, 1e-9):,.0f} images/s"
