"""Layers of the native backend and the limits of a core, for a roofline plot.

A layer's rate is limited by the multiplications and additions that a core can do, and by the bytes
that it can move for them (Williams, Waterman & Patterson 2009, doi:10.1145/1498765.1498785). Both
limits are measured in the same run as the layers, in one thread.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from runtime import LayerTime

BATCH = 16
BYTES = {"fp32": 4, "bf16": 2}
"""Of a number, by precision."""
COPIED = {"cache": 2**17, "memory": 2**26}
"""Bytes of the array that is copied: with its copy in the L2 cache, and far beyond the last one."""

LEAST_COPIES = 3
PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def measure_bandwidth(size: int, seconds: float) -> float:
    """Return bytes/s, read and written, of a NumPy copy of `size` bytes: the best of all copies."""
    source = np.ones(size // 8)
    target = source.copy()  # so that the pages exist
    repeats = max(1, 2**20 // size)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < LEAST_COPIES or time.perf_counter() < end:
        begin = time.perf_counter()
        for _ in range(repeats):
            np.copyto(target, source)
        times.append((time.perf_counter() - begin) / repeats)
    return 2 * size / min(times)


class Graph:
    """The products in an engine's graph, and the sizes of what goes into and out of them."""

    def __init__(self, engine: Path) -> None:
        import onnx

        graph = onnx.load(engine).graph
        self.producers = {name: node for node in graph.node for name in node.output}
        self.weights = {tensor.name: math.prod(tensor.dims) for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Cast" and node.input[0] in self.weights:
                self.weights[node.output[0]] = self.weights[node.input[0]]
        self.maps: dict[str, int] = {}
        for value in (*graph.value_info, *graph.input, *graph.output):
            # The rows of a batch are named, and count as 1.
            dims = value.type.tensor_type.shape.dim
            self.maps[value.name] = math.prod(dim.dim_value or 1 for dim in dims)

    def count_bytes(self, layer: LayerTime, precision: str, batch: int) -> float:
        """Return the bytes that a layer moves for an image: weights, input and output.

        Weights are moved once for a batch, all numbers in the size of the precision. 0 if the layer
        is named after products that it does not compute: a style's dense layer has the name of the
        layer that it is for.
        """
        node = self.producers.get(layer.name)
        while node is not None and node.op_type not in PRODUCTS:
            node = self.producers.get(node.input[0])
        if node is None:
            return 0.0
        if layer.kind == "dense" and layer.operations != 2 * self.weights.get(node.input[1], 0):
            return 0.0
        weights = sum(self.weights.get(name, 0) for name in node.input)
        maps = self.maps.get(node.output[0], 0)
        maps += sum(self.maps.get(name, 0) for name in node.input if name not in self.weights)
        return BYTES[precision] * (weights / batch + maps)


def measure_layers(engine: Path, precision: str, seconds: float) -> dict[str, Any]:
    """Return the layers of products, and the ceiling of a core, or the error that prevents it."""
    import runtime

    entry: dict[str, Any] = {"precision": precision, "batch": BATCH}
    try:
        times = runtime.measure_layers(engine, precision, BATCH, seconds)
    except runtime.errors.Error as error:
        return {**entry, "error": str(error)}
    graph = Graph(engine)
    entry |= {"isa": times.isa, "operations_per_second": times.ceiling}
    entry["layers"] = [
        {
            "name": layer.name,
            "kind": layer.kind,
            "operations": layer.operations,
            "seconds": layer.seconds,
            "bytes": moved,
        }
        for layer in times.layers
        if layer.operations and layer.seconds
        if (moved := graph.count_bytes(layer, precision, BATCH))
    ]
    return entry


def replace_limits(report: dict[str, Any], model: str, engine: Path, seconds: float) -> None:
    """Measure a model's layers and the bandwidth of the machine into the report's "limits"."""
    bandwidth = {
        f"{name}_bytes_per_second": measure_bandwidth(size, seconds / 4)
        for name, size in COPIED.items()
    }
    entries = [
        {"model": model, **measure_layers(engine, precision, seconds), **bandwidth}
        for precision in BYTES
    ]
    others = [entry for entry in report["limits"] if entry["model"] != model]
    report["limits"] = others + entries
