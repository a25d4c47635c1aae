"""Throughput of engine files in the backends of our runtime."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from export.parity import open_engines
from export.roles.role import Runner

BATCHES = (1, 16, 64)
SECONDS = 0.3

Throughput = dict[str, dict[str, float]]


def measure(path: Path, runner: Runner, runtime: Any, seconds: float = SECONDS) -> Throughput:
    """Measure median images/s by backend and batch size ("1", "16", "64").

    Args:
        path: an engine file.
        runner: of its role.
        runtime: the module `runtime`.
        seconds: duration of each measurement.
    """
    with ExitStack() as stack:
        runs: dict[str, Callable[[int, int], None]] = {}
        for backend, engine in open_engines(runtime, runner.engine_class, path, stack).items():
            runs[backend] = partial(runner.run, engine)
        rates: Throughput = {backend: {} for backend in runs}
        for batch in BATCHES:
            n = 4 * max(BATCHES)
            for backend, rate in race(runs, n, batch, seconds * len(runs)).items():
                rates[backend][str(batch)] = rate
    return rates


def race(
    runs: dict[str, Callable[[int, int], None]], n: int, batch: int, seconds: float
) -> dict[str, float]:
    """Measure median images/s of several contenders in turn, so that other load affects all alike.

    Args:
        runs: functions of `n` and `batch`, by name.
        n: rows of one run, computed `batch` at a time.
        seconds: total duration.
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
    return {name: float(f"{n / statistics.median(seen):.4g}") for name, seen in times.items()}
