"""How few rows a run of a graph may have, so that a row's bits do not depend on their number.

For the product of a matrix with few rows a library may choose another kernel, which adds in another
order. Measured in OpenVINO 2026.4 with AVX-512: fully connected layers give other bits with one
row, some with up to eight, and none from eleven on; convolutions never do. The runtime pads runs
that are smaller than the manifest's `batch.min`.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from export.functions import DOMAIN
from export.graph import MEAN, producer

SIZES = (1, 2, 3, 5, 8, 11, 16, 33, 64)
DENSE = 16
"""Fewest rows of graphs without convolutions, which are cheap: other CPUs have other kernels."""

CONVOLUTIONS = {"Conv", "ConvTranspose"}


def fewest(model: ModelProto) -> int:
    """Fewest rows of a run: what is measured, but at least `DENSE` for one without convolutions.

    Measured in OpenVINO, fp32 and where the CPU has it bf16, on the float results; without
    OpenVINO 1.
    """
    least = DENSE
    if any(node.op_type in CONVOLUTIONS for node in model.graph.node):
        least = 1
    core = _core()
    if core is None:
        return least
    graph = core.read_model(float_part(model).SerializeToString())
    precisions = ["f32"]
    if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        precisions.append("bf16")
    return max(least, *(_fewest(core, graph, precision) for precision in precisions))


@functools.cache
def _core() -> Any:
    """OpenVINO's Core, kept: when one of several is gone, the next signal ends the process."""
    try:
        import openvino
    except ImportError:
        return None
    return openvino.Core()


def _fewest(core: Any, graph: Any, precision: str) -> int:
    random = np.random.default_rng(0)
    most = max(SIZES)
    feed = {entry.any_name: _rows(random, entry, most) for entry in graph.inputs}
    results: dict[int, list[NDArray[np.generic]]] = {}
    for size in SIZES:
        sized = graph.clone()
        sized.reshape(
            {
                name: [size if len(rows) == most else len(rows), *rows.shape[1:]]
                for name, rows in feed.items()
            }
        )
        compiled = core.compile_model(
            sized,
            "CPU",
            {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1},
        )
        runs = []
        for start in range(0, most - size + 1, size):
            part = {
                name: rows[start : start + size] if len(rows) == most else rows
                for name, rows in feed.items()
            }
            runs.append(list(compiled(part).values()))
        results[size] = [np.concatenate(parts) for parts in zip(*runs, strict=True)]
    fewest = most
    for size in reversed(SIZES):
        same = all(
            np.array_equal(got, expected[: len(got)], equal_nan=True)
            for got, expected in zip(results[size], results[most], strict=True)
        )
        if not same:
            break
        fewest = size
    return fewest


def _rows(random: np.random.Generator, entry: Any, most: int) -> NDArray[np.generic]:
    """Rows for an input of the graph; 1, of value 1, for one that has no batch axis."""
    first, *rest = entry.partial_shape
    lengths = [axis.get_length() for axis in rest]
    if first.is_static:
        return np.ones([first.get_length(), *lengths], np.float32)
    dtype = entry.element_type.to_dtype()
    if dtype == np.uint8:
        return random.integers(0, 256, [most, *lengths]).astype(np.uint8)
    if dtype == np.int64:
        # Labels: a class that any conditional generator has.
        return random.integers(0, 2, most)
    return random.standard_normal([most, *lengths]).astype(np.float32)


def float_part(model: ModelProto) -> ModelProto:
    """The model without its noise operators and without the conversion to uint8.

    From what goes in, the latent and the noise of the layers drawn already, to the mean image, or
    what else comes out.
    """
    graph = model.graph
    has_mean = producer(model, MEAN) is not None
    outputs = [MEAN] if has_mean else [output.name for output in graph.output]
    widths = _drawn(model)
    nodes, wanted = [], set(outputs)
    for node in reversed(graph.node):
        if wanted & set(node.output) and not widths.keys() & set(node.output):
            nodes.append(node)
            wanted |= set(node.input)
    inputs = [entry for entry in graph.input if entry.name in wanted]
    inputs += [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])
        for name, width in widths.items()
        if name in wanted
    ]
    made = helper.make_graph(
        nodes[::-1],
        "float",
        inputs,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [tensor for tensor in graph.initializer if tensor.name in wanted],
    )
    opsets = [entry for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    return helper.make_model(made, opset_imports=opsets, ir_version=model.ir_version)


def _drawn(model: ModelProto) -> dict[str, int]:
    """Width of what each noise operator gives, by its name."""
    known = {
        entry.name: entry.type.tensor_type.shape.dim[-1].dim_value
        for entry in (*model.graph.value_info, *model.graph.input)
        if entry.type.tensor_type.shape.dim
    }
    return {
        node.output[0]: known.get(node.output[0]) or known[node.input[0]]
        for node in model.graph.node
        if node.domain == DOMAIN and node.op_type == "ReparametrizedSample"
    }
