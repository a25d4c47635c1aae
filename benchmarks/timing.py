"""Timing of contenders, which produce batches in endless iterators."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

WARM_UP = 0.3
"""Seconds, at most."""


def warm_up(batches: Iterator[Any], seconds: float) -> None:
    """Run at least one batch before a measurement of that many seconds."""
    end = time.perf_counter() + min(WARM_UP, seconds / 3)
    next(batches)
    while time.perf_counter() < end:
        next(batches)


def time_batches(batches: Iterator[Any], seconds: float) -> list[float]:
    """Return the duration of each batch, in seconds, over about `seconds` after a warm-up."""
    warm_up(batches, seconds)
    times: list[float] = []
    last = time.perf_counter()
    end = last + seconds
    while last < end or not times:
        next(batches)
        now = time.perf_counter()
        times.append(now - last)
        last = now
    batches.close()  # type: ignore[attr-defined]
    return times
