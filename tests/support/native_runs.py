"""Runs of small engines by the native backend, in every batch size and instruction set."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from native_engines import Engine
from native_graphs import ROWS
from runtime._library import native

BATCHES = (1, 2, 4, 5, 8, 9, 16, 17)
BF16_NORM = 0.015


def pairs(seed: int, count: int, /, **options: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Combinations of options, the same at every call, each the best of 30 drawn ones: that which
    has most pairs of values that none had before.
    """
    random = np.random.default_rng(seed)
    seen: set[tuple[Any, ...]] = set()

    def pairs_of(case: dict[str, Any]) -> set[tuple[Any, ...]]:
        return set(itertools.combinations(((name, str(value)) for name, value in case.items()), 2))

    for _ in range(count):
        drawn = [
            {name: values[random.integers(len(values))] for name, values in options.items()}
            for _ in range(30)
        ]
        best = max(drawn, key=lambda case: len(pairs_of(case) - seen))
        seen |= pairs_of(best)
        yield best


def label(case: dict[str, Any]) -> str:
    """A case as a name of a test."""
    return ",".join(f"{name}={value}" for name, value in case.items()).replace(" ", "")


@contextmanager
def isa(name: str) -> Iterator[None]:
    """Engines that are loaded inside take these kernels of floats."""
    assert native.use_native_isa(name)
    try:
        yield
    finally:
        assert native.use_native_isa(native.native_isas("fp32")[0])


def rows_in_every_batch(engine: Engine, **options: Any) -> NDArray[Any]:
    """Return an engine's results, and check that they are the same bits for every batch size."""
    with engine.open(engine.path, instances=1, **options) as opened:
        rows = engine.call(opened, slice(0, ROWS))
        for batch in BATCHES:
            for first in range(0, ROWS, batch):
                part = slice(first, min(first + batch, ROWS))
                made = engine.call(opened, part)
                assert made.tobytes() == rows[part].tobytes(), f"batch {batch}, rows from {first}"
    return rows


def check(engine: Engine) -> None:
    """Numbers of the native backend and of ONNX Runtime lie within the bounds of the engine; those
    of every batch size and instruction set are the same bits; those of bf16 are near in norm.
    """
    with engine.open(engine.path, backend="onnxruntime", instances=1) as stock:
        check_within(engine.call(stock, slice(0, ROWS)), engine)
    found = []
    for name in native.native_isas("fp32"):
        with isa(name):
            found.append(rows_in_every_batch(engine, backend="native"))
        check_within(found[-1], engine)
        assert found[-1].tobytes() == found[0].tobytes(), name
    if native.native_isas("bf16"):
        rows = rows_in_every_batch(engine, backend="native", precision="bf16")
        distance, norm = (np.linalg.norm(each) for each in (rows - engine.exact, engine.exact))
        assert distance <= BF16_NORM * norm, f"bf16 is {distance} away from {norm} in norm"


def check_within(rows: NDArray[Any], engine: Engine) -> None:
    assert rows.shape == engine.exact.shape
    beyond = np.maximum(engine.low - rows, rows - engine.high)
    worst = np.unravel_index(np.argmax(np.nan_to_num(beyond, nan=np.inf)), beyond.shape)
    assert beyond[worst] <= 0, (
        f"{rows[worst]} at {[int(i) for i in worst]}, expected "
        f"{engine.low[worst]} to {engine.high[worst]}"
    )
