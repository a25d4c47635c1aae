"""Sensitivity of a network's outputs to products in eight bits, measured on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from export.plan.samples import Samples
from export.stock import Session

LEVELS = 2.0
"""Tolerated mean difference of a plan's images from the fp32 engine, in levels."""

SPREAD = 0.05
"""Tolerated RMS difference of other outputs, relative to their standard deviation."""

ROWS = 96
"""Number of samples for measurements of the whole network."""

ROWS_ALONE = 8
"""Number of samples for measurements of single products."""

Arrays = dict[str, NDArray[Any]]


def select_products(
    names: list[str], run: Callable[[Collection[str] | None, int], Arrays]
) -> list[str]:
    """Select products that can be in eight bits together within `LEVELS` and `SPREAD`.

    If not all of them can, those that change the outputs most when quantized alone are left out, as
    few as possible.

    Args:
        names: of the products.
        run: returns the outputs for a number of samples, with the products of some names in eight
            bits; for None, in float32.
    """
    expected = run(None, ROWS)
    if relative_loss(expected, run(names, ROWS)) <= 1:
        return names
    first = run(None, ROWS_ALONE)
    alone = {name: relative_loss(first, run([name], ROWS_ALONE)) for name in names}
    worst = sorted(names, key=lambda name: alone[name], reverse=True)

    def without_worst(count: int) -> list[str]:
        return [name for name in names if name not in worst[:count]]

    # Bisection, since the loss decreases with the number of products left out.
    too_few, enough = 0, len(names)
    while enough - too_few > 1:
        count = (too_few + enough) // 2
        if relative_loss(expected, run(without_worst(count), ROWS)) <= 1:
            enough = count
        else:
            too_few = count
    return without_worst(enough)


def relative_loss(expected: Arrays, got: Arrays) -> float:
    """Return the greatest difference of an output, relative to its tolerance."""
    losses = [0.0]
    for name, value in expected.items():
        difference = np.abs(got[name].astype(np.float64) - value)
        if not np.isfinite(difference).all():
            return float("inf")
        if value.dtype == np.uint8:
            losses.append(float(difference.mean()) / LEVELS)
        elif spread := float(value.std()):
            losses.append(float(np.sqrt(np.square(difference).mean())) / spread / SPREAD)
    return max(losses)


def run_graphs(
    model: ModelProto, quantize: Callable[[Collection[str]], ModelProto], samples: Samples
) -> Callable[[Collection[str] | None, int], Arrays]:
    """Return a function for `select_products` that runs graphs in stock ONNX Runtime.

    Args:
        model: the graph in float32.
        quantize: returns the graph with the products of some names in eight bits.
        samples: for the inputs of the graph.

    The function raises ExportError if this ONNX Runtime does not run a quantized graph.
    """

    def run(names: Collection[str] | None, rows: int) -> Arrays:
        graph = model if names is None else quantize(names)
        session = Session(graph, threads=0, optimize=False)
        return session.run(**next(samples.blocks(rows)))

    return run
