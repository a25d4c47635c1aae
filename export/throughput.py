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

from export.parity import backends

BATCHES = (1, 16, 64)
SECONDS = 0.3

Throughput = dict[str, dict[str, float]]


def measure(path: Path, role: str, runtime: Any, seconds: float = SECONDS) -> Throughput:
    """Median images/s by backend and batch size ("1", "16", "64").

    Args:
        path: an engine file of any role but "interpolator".
        role: that role.
        runtime: the module `runtime`.
        seconds: how long to measure each of them.
    """
    with ExitStack() as stack:
        runs: dict[str, Callable[[int, int], None]] = {}
        for backend in backends(runtime):
            if role == "generator":
                generator = stack.enter_context(runtime.Generator(path, backend=backend))
                runs[backend] = partial(_sample, generator)
            elif role == "synthesis":
                synthesis = stack.enter_context(runtime.Generator(path, backend=backend))
                runs[backend] = partial(_decode, synthesis)
            elif role == "mapping":
                mapping = stack.enter_context(runtime.Mapping(path, backend=backend))
                runs[backend] = partial(_map, mapping)
            elif role == "encoder":
                encoder = stack.enter_context(runtime.Encoder(path, backend=backend))
                runs[backend] = partial(_feed, encoder.embed, encoder.image_shape)
            elif role == "translator":
                translator = stack.enter_context(runtime.Translator(path, backend=backend))
                call = translator.translate
                if translator.attributes:
                    call = partial(call, attributes=np.zeros(len(translator.attributes)))
                runs[backend] = partial(_feed, call, translator.input_shape)
            else:
                classifier = stack.enter_context(runtime.Classifier(path, backend=backend))
                runs[backend] = partial(_feed, classifier.classify, classifier.image_shape)
        rates: Throughput = {backend: {} for backend in runs}
        for batch in BATCHES:
            for backend, rate in _race(runs, batch, seconds * len(runs)).items():
                rates[backend][str(batch)] = rate
    return rates


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


def _race(
    runs: dict[str, Callable[[int, int], None]], batch: int, seconds: float
) -> dict[str, float]:
    """Median images/s of each, in turns, so that other load on the machine hits all alike."""
    n = 4 * max(BATCHES)
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
