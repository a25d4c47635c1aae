"""Images per second of an engine file in each backend of our runtime."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from export.parity import backends
from export.roles.role import Runner

BATCHES = (1, 16, 64)
SECONDS = 0.3

Throughput = dict[str, dict[str, float]]


def measure(path: Path, runner: Runner, runtime: Any, seconds: float = SECONDS) -> Throughput:
    """Median images/s by backend and batch size ("1", "16", "64").

    Args:
        path: an engine file.
        runner: of its role.
        runtime: the module `runtime`.
        seconds: how long to measure each of them.
    """
    with ExitStack() as stack:
        runs: dict[str, Callable[[int, int], None]] = {}
        for backend in backends(runtime):
            opened = stack.enter_context(
                getattr(runtime, runner.engine_class)(path, backend=backend)
            )
            runs[backend] = partial(runner.run, opened)
        rates: Throughput = {backend: {} for backend in runs}
        for batch in BATCHES:
            n = 4 * max(BATCHES)
            for backend, rate in race(runs, n, batch, seconds * len(runs)).items():
                rates[backend][str(batch)] = rate
    return rates


def race(
    runs: dict[str, Callable[[int, int], None]], n: int, batch: int, seconds: float
) -> dict[str, float]:
    """Median images/s of each, in turns, so that other load on the machine hits all alike.

    Args:
        runs: what runs n rows in batches, by name.
        n: rows of one run, and `batch` how many at a time.
        seconds: how long to measure all of them.
    """
    for run in runs.values():
        run(n, batch)
    times: dict[str, list[float]] = {name: [] for name in runs}
    stop = time.perf_counter() + seconds
    while not all(times.values()) or time.perf_counter() < stop:
        for name, run in runs.items():
            start = time.perf_counter()
            run(n, batch)
            times[name].append(time.perf_counter() - start)
    return {name: float(f"{n / statistics.median(taken):.4g}") for name, taken in times.items()}
