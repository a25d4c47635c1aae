"""Images per second of an engine file in each backend of our runtime."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

BATCHES = (1, 16, 64)
SECONDS = 0.3

KINDS = {
    "generator": "Generator",
    "synthesis": "Generator",
    "encoder": "Encoder",
    "translator": "Translator",
    "classifier": "Classifier",
    "mapping": "Mapping",
}
"""The runtime's class that opens the engines of each role."""

Throughput = dict[str, dict[str, float]]


def measure(path: Path, role: str, runtime: Any, seconds: float = SECONDS) -> Throughput:
    """Median images/s by backend and batch size ("1", "16", "64").

    Args:
        path: an engine file of any role but "interpolator".
        role: that role.
        runtime: the module `runtime`.
        seconds: how long to measure each of them.
    """
    from export.parity import backends

    with ExitStack() as stack:
        runs: dict[str, Callable[[int, int], None]] = {}
        for backend in backends(runtime):
            opened = stack.enter_context(getattr(runtime, KINDS[role])(path, backend=backend))
            runs[backend] = runner(opened, role)
        rates: Throughput = {backend: {} for backend in runs}
        for batch in BATCHES:
            n = 4 * max(BATCHES)
            for backend, rate in race(runs, n, batch, seconds * len(runs)).items():
                rates[backend][str(batch)] = rate
    return rates


def runner(engine: Any, role: str) -> Callable[[int, int], None]:
    """What an opened engine does with n rows, batch by batch: a function of the two numbers.

    Args:
        engine: of the runtime, of any role but "interpolator".
        role: that role.
    """
    if role == "generator":
        return partial(_sample, engine)
    if role == "synthesis":
        return partial(_decode, engine)
    if role == "mapping":
        return partial(_map, engine)
    if role == "encoder":
        return partial(_feed, engine.embed, engine.image_shape)
    if role == "translator":
        call = engine.translate
        if engine.attributes:
            call = partial(call, attributes=np.zeros(len(engine.attributes)))
        return partial(_feed, call, engine.input_shape)
    return partial(_feed, engine.classify, engine.image_shape)


def _sample(generator: Any, n: int, batch: int) -> None:
    if generator.prior != "none":
        generator.sample(n, batch=batch)
        return
    zeros = np.zeros(generator.latent_width, np.float32)
    generator.sample(n, batch=batch, mu=zeros, logvar=zeros)


def _decode(synthesis: Any, n: int, batch: int) -> None:
    latents = np.zeros((batch, synthesis.latent_width), np.float32)
    for start in range(0, n, batch):
        synthesis.decode(latents, seed=0, first=start)


def _map(mapping: Any, n: int, batch: int) -> None:
    latents = np.zeros((batch, mapping.latent_width), np.float32)
    for _ in range(n // batch):
        mapping.map(latents)


def _feed(run: Callable[[Any], Any], shape: tuple[int, int, int], n: int, batch: int) -> None:
    images = np.zeros((batch, *shape), np.uint8)
    for _ in range(n // batch):
        run(images)


def race(
    runs: dict[str, Callable[[int, int], None]], n: int, batch: int, seconds: float
) -> dict[str, float]:
    """Median images/s of each, in turns, so that other load on the machine hits all alike.

    Args:
        runs: of `runner`, by name.
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
