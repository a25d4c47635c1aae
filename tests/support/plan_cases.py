"""Shipped engines as cases of tests of plans, inputs for them, and half precision on a CPU."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

import runtime
from export.graph import read_attribute
from export.plan import graph, pipeline, quantization, samples
from export.plan.calibration_set import SAMPLES, Calibration
from export.plan.precision import EIGHT_BITS, HALVES, Precision
from export.plan.quantization import EightBits, Quantized
from export.stock import Session
from zoo import data
from zoo.engines import WEIGHTS

Arrays = dict[str, NDArray[Any]]
ROWS = 24

ENGINES = sorted(path.name for path in WEIGHTS.glob("*.onnx"))
"""All shipped engine files, including encoders."""


@cache
def load(path: Path) -> tuple[ModelProto, dict[str, Any]]:
    return onnx.load(path), runtime.manifest.read(path)


def _find_twins(*, of_graphs: bool) -> set[str]:
    """Return engines with the role and the operators, or inputs and outputs, of a smaller one."""
    seen, twins = set[Any](), set[str]()
    for path in sorted(map(WEIGHTS.joinpath, ENGINES), key=lambda path: path.stat().st_size):
        model, document = load(path)
        ends = [value.name for value in (*model.graph.input, *model.graph.output)]
        parts = [node.op_type for node in model.graph.node] if of_graphs else ends
        kind = document["role"], frozenset(parts)
        if kind in seen:
            twins.add(path.name)
        seen.add(kind)
    return twins


TWINS = _find_twins(of_graphs=True)
"""Engines with the role and the operators of a smaller one."""


def case(name: str, *rest: Any, twins: Collection[str] = TWINS) -> Any:
    """Return a parameter set that begins with an engine, marked `long` for twins."""
    return pytest.param(name, *rest, marks=[pytest.mark.long] if name in twins else [])


CASES = [case(name) for name in ENGINES]
"""`ENGINES`, as parameters of tests of graphs."""

RUNS = [case(name, twins=_find_twins(of_graphs=False)) for name in ENGINES]
"""`ENGINES`, as parameters of tests of the runtime, which depends on roles and tensors only."""


def lower(path: Path, precision: Precision) -> tuple[ModelProto, list[str]]:
    model, document = load(path)
    return pipeline.lower(model, document, precision)


@cache
def quantize(path: Path, precision: EightBits, count: int = SAMPLES) -> Quantized:
    """Return the graph of an int8 or fp8 plan, calibrated like `python -m export` does."""
    model, document = load(path)
    calibration = Calibration(count=count)
    prepared = graph.prepare(model, document)
    return quantization.lower(prepared, document, path, precision, calibration)


@cache
def held_out_inputs(path: Path) -> Arrays:
    """Return real inputs of a prepared graph that are not in its calibration set."""
    model, document = load(path)
    inputs = list(graph.prepare(model, document).graph.input)
    gathered = samples.gather(inputs, document, path, Calibration(count=SAMPLES + ROWS))
    return {
        name: values[-ROWS:] if len(values) == gathered.count else values
        for name, values in gathered.feed.items()
    }


def pictures(shape: list[int], n: int = ROWS) -> NDArray[np.uint8]:
    """Return held-out pictures of clothes for their shape, else blocks of random colours."""
    if shape == [28, 28, 1]:
        return data.load("fashion-mnist").test.images[:n]
    random = np.random.default_rng(0)
    height, width, channels = shape
    small = random.integers(0, 256, (n, -(-height // 8), -(-width // 8), channels), np.uint8)
    return small.repeat(8, 1).repeat(8, 2)[:, :height, :width]


def random_inputs(values: Any, n: int = ROWS) -> Arrays:
    """Return an array for each input of a graph: N(0, 1), pictures, or classes; scalars are 1."""
    random = np.random.default_rng(1)
    arrays: Arrays = {}
    for value in values:
        kind = value.type.tensor_type
        first, *rest = [axis.dim_param or axis.dim_value for axis in kind.shape.dim]
        shape = [n if isinstance(first, str) else first, *rest]
        if kind.elem_type == TensorProto.UINT8:
            arrays[value.name] = pictures(rest, n)
        elif kind.elem_type == TensorProto.INT64:
            arrays[value.name] = random.integers(0, 3, shape)
        elif isinstance(first, str):
            arrays[value.name] = random.standard_normal(shape).astype(np.float32)
        else:
            arrays[value.name] = np.ones(shape, np.float32)
    return arrays


def run(model: ModelProto, feed: Arrays) -> Arrays:
    """Run a model in ONNX Runtime, without graph optimizations."""
    return Session(model, optimize=False).run(**feed)


def round_to_half(model: ModelProto, precision: Precision) -> ModelProto:
    """Return a float32 model that rounds every number which the model has in half precision.

    On a CPU, ONNX Runtime does not compute in these types; sums on a GPU differ only in order.
    """
    half = HALVES[precision]
    result = copy.deepcopy(model)
    halves = set()
    for tensor in result.graph.initializer:
        if tensor.data_type == half:
            halves.add(tensor.name)
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    nodes: list[NodeProto] = []
    for node in result.graph.node:
        is_cast = node.op_type == "Cast"
        to = read_attribute(node, "to")
        nodes.append(node)
        if is_cast and to != half:
            if set(node.input) & halves:
                assert to == TensorProto.FLOAT
            continue
        if not (is_cast or set(node.input) & halves):
            continue
        for position, name in enumerate(node.output):
            halves.add(name)
            if is_cast:
                nodes[-1].attribute[0].i = TensorProto.FLOAT
            node.output[position] = f"{name}.exact"
            nodes.append(helper.make_node("Cast", [f"{name}.exact"], [f"{name}.half"], to=half))
            back = helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT)
            nodes.append(back)
    copied = copy.deepcopy(nodes)
    del result.graph.node[:]
    result.graph.node.extend(copied)
    return result


def _identity(document: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(document.get(field) for field in ("model", "role", "checkpoint_sha256"))


@cache
def _shipped_engines() -> dict[tuple[Any, ...], Path]:
    return {_identity(load(WEIGHTS / name)[1]): WEIGHTS / name for name in ENGINES}


def graph_of_plan(plan: bytes) -> ModelProto | None:
    """Return a graph for the CPU equivalent to the plan of a shipped engine, None for other plans.

    Its `doc_string` is the plan's manifest.
    """
    with tempfile.NamedTemporaryFile(suffix=".plan") as file:
        Path(file.name).write_bytes(plan)
        document = runtime.manifest.read(file.name)
    engine, precision = _shipped_engines().get(_identity(document)), document["precision"]
    if engine is None:
        return None
    eight = precision in EIGHT_BITS
    model = quantize(engine, precision).model if eight else lower(engine, precision)[0]
    # ONNX Runtime computes in neither half precision on a CPU, and removes casts to fp16 and back.
    model = round_to_half(model, precision) if precision in HALVES else copy.deepcopy(model)
    model.doc_string = json.dumps(document)
    return model


def operands(model: ModelProto) -> list[tuple[NodeProto, list[int]]]:
    """Return each node with the element types of its inputs."""
    types = graph.element_types(
        onnx.shape_inference.infer_shapes(raise_opset(model), check_type=True, strict_mode=True)
    )
    return [(node, [types[name] for name in node.input if name]) for node in model.graph.node]


def raise_opset(model: ModelProto) -> ModelProto:
    """Return the model with the operators of ONNX 1.16, the first to support bfloat16."""
    model = copy.deepcopy(model)
    model.opset_import[0].version = max(model.opset_import[0].version, 22)
    return model


def build_model(nodes: list[Any], weights: dict[str, Any], shape: list[Any], dtype: int = 1) -> Any:
    """Build a prepared graph from `x` to `y` float32."""
    whole = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", 20)]
    return graph.prepare(helper.make_model(whole, opset_imports=opsets, ir_version=10), {})


def make_node(kind: str, inputs: str, output: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), output.split(), name=output, **attributes)


FEW = (
    "contractive-ae linear-ae overcomplete-ae sparse-ae-kl sparse-ae stochastic-ae undercomplete-ae"
).split()
"""Networks of one or two layers, with no layer between the first and the last."""


def has_eight_bits(name: str, kind: str) -> bool:
    """Return True if a plan has products in eight bits: few layers stay in fp16 for quality."""
    return name.split(".")[0] not in FEW and (name, kind) != ("stacked-ae.onnx", "fp8")
