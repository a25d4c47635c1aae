"""Engine files that become plans, inputs for them, and half precision on a CPU."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

import runtime
from export.plan import graph, pipeline, quantization, samples
from export.plan.calibration_set import SAMPLES, Calibration
from export.plan.precision import EIGHT_BITS, HALVES, Precision
from export.plan.quantization import EightBits, Quantized
from zoo import data
from zoo.engines import WEIGHTS

Arrays = dict[str, NDArray[Any]]
ROWS = 24

ENGINES = sorted(path.name for path in WEIGHTS.glob("*.onnx"))
"""Every engine file that is shipped, encoders too."""


@cache
def load(path: Path) -> tuple[ModelProto, dict[str, Any]]:
    return onnx.load(path), runtime.manifest.read(path)


def _twins(*, of_graphs: bool) -> set[str]:
    """Engines with the role and the operators, or the inputs and outputs, of a smaller one."""
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


TWINS = _twins(of_graphs=True)
"""Engines with the role and the operators of a smaller one."""


def case(name: str, *rest: Any, twins: Collection[str] = TWINS) -> Any:
    """Return a parameter set that begins with an engine, marked `long` for twins."""
    return pytest.param(name, *rest, marks=[pytest.mark.long] if name in twins else [])


CASES = [case(name) for name in ENGINES]
"""`ENGINES`, as parameters of tests of graphs."""

RUNS = [case(name, twins=_twins(of_graphs=False)) for name in ENGINES]
"""`ENGINES`, as parameters of tests of the runtime, which sees roles, inputs and outputs only."""


def lowered(path: Path, precision: Precision) -> tuple[ModelProto, list[str]]:
    model, document = load(path)
    return pipeline.lower(model, document, precision)


@cache
def quantized(path: Path, precision: EightBits, count: int = SAMPLES) -> Quantized:
    """The graph of an int8 or fp8 plan, calibrated as `python -m export` does."""
    model, document = load(path)
    calibration = Calibration(count=count)
    prepared = graph.prepare(model, document)
    return quantization.lower(prepared, document, path, precision, calibration)


@cache
def held_out(path: Path) -> Arrays:
    """Return real inputs of a prepared graph, other ones than it is calibrated with."""
    model, document = load(path)
    calibration = Calibration(count=SAMPLES + ROWS)
    ends = list(graph.prepare(model, document).graph.input)
    result = samples.gather(ends, document, path, calibration)
    return {
        name: values[-ROWS:] if len(values) == result.count else values
        for name, values in result.feed.items()
    }


def pictures(shape: list[int], n: int = ROWS) -> NDArray[np.uint8]:
    """Held-out pictures of clothes where the shape is theirs, else blocks of random colours."""
    if shape == [28, 28, 1]:
        return data.load("fashion-mnist").test.images[:n]
    random = np.random.default_rng(0)
    height, width, channels = shape
    small = random.integers(0, 256, (n, -(-height // 8), -(-width // 8), channels), np.uint8)
    return small.repeat(8, 1).repeat(8, 2)[:, :height, :width]


def inputs(values: Any, n: int = ROWS) -> Arrays:
    """Return an array for each input of a graph: N(0, 1), pictures, or classes; scalars are 1."""
    random = np.random.default_rng(1)
    result: Arrays = {}
    for value in values:
        kind = value.type.tensor_type
        first, *rest = [axis.dim_param or axis.dim_value for axis in kind.shape.dim]
        shape = [n if isinstance(first, str) else first, *rest]
        if kind.elem_type == TensorProto.UINT8:
            result[value.name] = pictures(rest, n)
        elif kind.elem_type == TensorProto.INT64:
            result[value.name] = random.integers(0, 3, shape)
        elif isinstance(first, str):
            result[value.name] = random.standard_normal(shape).astype(np.float32)
        else:
            result[value.name] = np.ones(shape, np.float32)
    return result


def run(model: ModelProto, feed: Arrays) -> Arrays:
    """Return the outputs in ONNX Runtime, without its graph optimizations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, feed), strict=True))


def rounded(model: ModelProto, precision: Precision) -> ModelProto:
    """The same in float32, every number that the model has in half precision rounded to it.

    For types that ONNX Runtime computes nothing in on a CPU; a GPU's sums differ from it in their
    order only.
    """
    half = HALVES[precision]
    result = ModelProto()
    result.CopyFrom(model)
    halves = set()
    for tensor in result.graph.initializer:
        if tensor.data_type == half:
            halves.add(tensor.name)
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    nodes: list[NodeProto] = []
    for node in result.graph.node:
        is_cast = node.op_type == "Cast"
        to = next((entry.i for entry in node.attribute if entry.name == "to"), None)
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
    copied = [NodeProto() for _ in nodes]
    for copy, node in zip(copied, nodes, strict=True):
        copy.CopyFrom(node)
    del result.graph.node[:]
    result.graph.node.extend(copied)
    return result


def identity(document: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(document.get(field) for field in ("model", "role", "checkpoint_sha256"))


@cache
def shipped() -> dict[tuple[Any, ...], Path]:
    return {identity(load(WEIGHTS / name)[1]): WEIGHTS / name for name in ENGINES}


def graph_of_plan(plan: bytes) -> ModelProto | None:
    """Return a graph that computes on a CPU what the plan of a shipped engine does, else None.

    Its `doc_string` is the plan's manifest.
    """
    with tempfile.NamedTemporaryFile(suffix=".plan") as file:
        Path(file.name).write_bytes(plan)
        document = runtime.manifest.read(file.name)
    engine, precision = shipped().get(identity(document)), document["precision"]
    if engine is None:
        return None
    result = ModelProto()
    eight = precision in EIGHT_BITS
    result.CopyFrom(quantized(engine, precision).model if eight else lowered(engine, precision)[0])
    if precision in HALVES:
        # ONNX Runtime computes in neither on a CPU, and leaves out casts to fp16 and back.
        result = rounded(result, precision)
    result.doc_string = json.dumps(document)
    return result


def operands(model: ModelProto) -> list[tuple[NodeProto, list[int]]]:
    """Each node with the element types of its inputs."""
    types = graph.element_types(
        onnx.shape_inference.infer_shapes(raised(model), check_type=True, strict_mode=True)
    )
    return [(node, [types[name] for name in node.input if name]) for node in model.graph.node]


def raised(model: ModelProto) -> ModelProto:
    """Return the model with the operators of ONNX 1.16, the first that take bfloat16."""
    result = ModelProto()
    result.CopyFrom(model)
    result.opset_import[0].version = max(result.opset_import[0].version, 22)
    return result


def made_of(nodes: list[Any], weights: dict[str, Any], shape: list[Any], dtype: int = 1) -> Any:
    """A graph from `x` to `y` float32, its types inferred."""
    result = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", 20)]
    return graph.prepare(helper.make_model(result, opset_imports=opsets, ir_version=10), {})


def node(kind: str, inputs: str, output: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), output.split(), name=output, **attributes)


FEW = (
    "contractive-ae linear-ae overcomplete-ae sparse-ae-kl sparse-ae stochastic-ae undercomplete-ae"
).split()
"""Networks of one or two layers: there is none between the first and the last."""


def has_eight_bits(name: str, kind: str) -> bool:
    """Return True if a plan has products in eight bits: few layers stay in fp16 for quality."""
    return name.split(".")[0] not in FEW and (name, kind) != ("stacked-ae.onnx", "fp8")
