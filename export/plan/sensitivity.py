"""Which products lose too much in eight bits, measured on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

from export.errors import ExportError
from export.plan.samples import Samples

LEVELS = 2.0
"""Tolerated mean difference of a plan's images from the fp32 engine, in levels."""

SPREAD = 0.05
"""Tolerated RMS difference of other outputs, relative to their standard deviation."""

ROWS = 32
"""Samples that a network is measured with."""

ROWS_ALONE = 8
"""Samples that each of its products is measured with, to find the order in which they are left."""

Arrays = dict[str, NDArray[Any]]


def affordable(
    whole: ModelProto,
    quantised: Callable[[Collection[str]], ModelProto],
    names: list[str],
    samples: Samples,
) -> list[str]:
    """The products that can be in eight bits together within `LEVELS` and `SPREAD`.

    All of them if they can; else without as few as need be of those that alone change the outputs
    most.

    Args:
        whole: the graph in float32.
        quantised: the graph with products of those names in eight bits.
        names: of the products.
        samples: for the graph's inputs.

    Raises:
        ExportError: this ONNX Runtime does not run the quantised graph.
    """
    feed = next(samples.blocks(ROWS))
    few = next(samples.blocks(ROWS_ALONE))
    expected = run(whole, feed)
    if loss(expected, run(quantised(names), feed)) <= 1:
        return names
    first = run(whole, few)
    alone = {name: loss(first, run(quantised([name]), few)) for name in names}
    worst = sorted(names, key=lambda name: alone[name], reverse=True)

    def without(count: int) -> list[str]:
        return [name for name in names if name not in worst[:count]]

    # Halving: the fewer, the less is lost.
    too_few, enough = 0, len(names)
    while enough - too_few > 1:
        count = (too_few + enough) // 2
        if loss(expected, run(quantised(without(count)), feed)) <= 1:
            enough = count
        else:
            too_few = count
    return without(enough)


def loss(expected: Arrays, got: Arrays) -> float:
    """The greatest difference of an output, in parts of what is allowed."""
    found = [0.0]
    for name, value in expected.items():
        difference = np.abs(got[name].astype(np.float64) - value)
        if not np.isfinite(difference).all():
            return float("inf")
        if value.dtype == np.uint8:
            found.append(float(difference.mean()) / LEVELS)
        elif spread := float(value.std()):
            found.append(float(np.sqrt(np.square(difference).mean())) / spread / SPREAD)
    return max(found)


def run(model: ModelProto, feed: Arrays) -> Arrays:
    """All outputs of a graph in ONNX Runtime as it stands: nothing is fused or folded."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        results = session.run(None, feed)
    except Exception as error:
        raise ExportError(f"ONNX Runtime cannot run the quantised graph: {error}") from error
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, results, strict=True))
