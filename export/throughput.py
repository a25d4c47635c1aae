"""Images per second of an engine file in each backend of our runtime."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from export.parity import backends

BATCHES = (1, 16, 64)
SECONDS = 0.3

Throughput = dict[str, dict[str, float]]


def measure(path: Path, role: str, runtime: Any, seconds: float = SECONDS) -> Throughput:
    """Median images/s by backend and batch size ("1", "16", "64").

    Args:
        path: an engine file of the role "generator" or "encoder".
        role: that role.
        runtime: the module `runtime`.
        seconds: how long to measure each of them.
    """
    rates: Throughput = {}
    for backend in backends(runtime):
        if role == "generator":
            with runtime.Generator(path, backend=backend) as generator:
                rates[backend] = _rates(partial(_sample, generator), seconds)
        else:
            with runtime.Encoder(path, backend=backend) as encoder:
                rates[backend] = _rates(partial(_encode, encoder), seconds)
    return rates


def _sample(generator: Any, n: int, batch: int) -> None:
    generator.sample(n, batch=batch)


def _encode(encoder: Any, n: int, batch: int) -> None:
    images = np.zeros((batch, *encoder.image_shape), np.uint8)
    for _ in range(n // batch):
        encoder.encode(images)


def _rates(run: Callable[[int, int], Any], seconds: float) -> dict[str, float]:
    found = {}
    for batch in BATCHES:
        n = 4 * max(BATCHES)
        run(n, batch)
        rates: list[float] = []
        stop = time.perf_counter() + seconds
        while not rates or time.perf_counter() < stop:
            start = time.perf_counter()
            run(n, batch)
            rates.append(n / (time.perf_counter() - start))
        found[str(batch)] = float(f"{statistics.median(rates):.4g}")
    return found
