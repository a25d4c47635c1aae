"""Least batch size of a graph from which the bits of a row do not depend on the batch size.

For matrices of few rows a library may choose another kernel, which adds in another order. Measured
in OpenVINO 2026.4 with AVX-512: fully connected layers give different bits for one row, some for up
to eight, none from eleven rows on; convolutions never do. The runtime pads smaller runs to
`batch.min` of the manifest.
"""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from export.functions import DOMAIN
from export.graph import (
    MEAN,
    find_producer,
    remove_domain,
    remove_learned_prior,
    remove_unused,
)

SIZES = (1, 2, 3, 5, 8, 11, 16, 33, 64)
DENSE = 16
"""Least batch size of graphs without convolutions: other CPUs have other kernels, and padding is
cheap there."""

CONVOLUTIONS = {"Conv", "ConvTranspose"}


def measure_min_rows(model: ModelProto) -> int:
    """Measure the least batch size; at least `DENSE` for a graph without convolutions.

    The float results are compared in OpenVINO, if installed, in fp32 and, if the CPU has it, bf16.
    """
    dense = all(node.op_type not in CONVOLUTIONS for node in model.graph.node)
    least = DENSE if dense else 1
    core = _openvino()
    if core is None:
        return least
    graph = core.read_model(extract_float_part(model).SerializeToString())
    precisions = ["f32"]
    if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        precisions.append("bf16")
    return max(least, *(_measure_precision(core, graph, precision) for precision in precisions))


@functools.cache
def _openvino() -> Any:
    """Return the one Core of this process: with several, deleting one makes signals fatal."""
    try:
        import openvino
    except ImportError:
        return None
    return openvino.Core()


def _measure_precision(core: Any, graph: Any, precision: str) -> int:
    random = np.random.default_rng(0)
    most = max(SIZES)
    feed = {entry.any_name: _random_rows(random, entry, most) for entry in graph.inputs}
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
    measure_min_rows = most
    for size in reversed(SIZES):
        same = all(
            np.array_equal(got, expected[: len(got)], equal_nan=True)
            for got, expected in zip(results[size], results[most], strict=True)
        )
        if not same:
            break
        measure_min_rows = size
    return measure_min_rows


def _random_rows(random: np.random.Generator, entry: Any, most: int) -> NDArray[np.generic]:
    """Return random rows for an input of the graph; ones for an input without a batch axis."""
    first, *rest = entry.partial_shape
    lengths = [axis.get_length() for axis in rest]
    if first.is_static:
        return np.ones([first.get_length(), *lengths], np.float32)
    dtype = entry.element_type.to_dtype()
    if dtype == np.uint8:
        return random.integers(0, 256, [most, *lengths]).astype(np.uint8)
    if dtype == np.int64:
        # Labels, of classes that every conditional generator has.
        return random.integers(0, 2, most)
    return random.standard_normal([most, *lengths]).astype(np.float32)


def extract_float_part(model: ModelProto) -> ModelProto:
    """Return the model without noise operators and without the conversion to uint8.

    The results of the noise operators become inputs; the output is the mean image, if there is one.
    """
    model = copy.deepcopy(model)
    remove_learned_prior(model)
    graph = model.graph
    for name, width in _noise_widths(model).items():
        graph.node.remove(find_producer(model, name))
        graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width]))
    if find_producer(model, MEAN) is not None:
        del graph.output[:]
        graph.output.append(helper.make_tensor_value_info(MEAN, TensorProto.FLOAT, None))
    remove_unused(model)
    remove_domain(model)
    del graph.value_info[:]
    return model


def _noise_widths(model: ModelProto) -> dict[str, int]:
    """Map the output of each noise operator to its width."""
    widths = {
        entry.name: entry.type.tensor_type.shape.dim[-1].dim_value
        for entry in (*model.graph.value_info, *model.graph.input)
        if entry.type.tensor_type.shape.dim
    }
    return {
        node.output[0]: widths.get(node.output[0]) or widths[node.input[0]]
        for node in model.graph.node
        if node.domain == DOMAIN and node.op_type == "ReparametrizedSample"
    }
