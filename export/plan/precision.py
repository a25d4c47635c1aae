"""Conversion of graphs to half precision: TensorRT 11 computes in the types of the graph."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from export.plan.graph import element_types

Precision = Literal["fp32", "tf32", "fp16", "bf16", "int8", "fp8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "tf32", "fp16", "bf16", "int8", "fp8")
EIGHT_BITS = ("int8", "fp8")
"""Precisions that need calibration; `quantization.lower` derives them from "fp16"."""

HALVES = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
LARGEST_HALF = 65504.0
SMALLEST_HALF = 2.0**-24

PRODUCTS = frozenset(["Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum"])
"""Products, which run in half precision together with all operators between two of them."""

NO_BFLOAT16 = frozenset(["ConvTranspose"])
"""Products without bfloat16 support in TensorRT's compiler (TensorRT-RTX 1.7)."""

SENSITIVE = frozenset(
    "BatchNormalization CumSum Div Erf Exp GlobalAveragePool GroupNormalization "
    "InstanceNormalization LayerNormalization Log LogSoftmax LpNormalization "
    "MeanVarianceNormalization Pow RMSNormalization Reciprocal ReduceL1 ReduceL2 ReduceLogSum "
    "ReduceLogSumExp ReduceMean ReduceProd ReduceSum ReduceSumSquare Softmax Softplus Sqrt".split()
)
"""Sums over many values, and operators that overflow with squares, quotients or exponents."""

MOVES = frozenset(
    "DepthToSpace Flatten Identity Reshape Slice SpaceToDepth Squeeze Transpose Unsqueeze".split()
)
"""Operators that only move numbers, and fewer bytes in half precision."""

FACTORS = frozenset(["Div", "Exp", "Pow", "Reciprocal", "Sqrt"])
"""Operators with results of any size: products with them stay in float32 too."""


def lower(model: ModelProto, precision: Precision) -> tuple[ModelProto, list[str]]:
    """Convert the products of a model, and the operators between them, to half precision.

    These stay in float32: operators before the first product (on the latent or the levels of an
    image) and after the last one (conversion to levels, scores), the `SENSITIVE` operators, and
    operators whose results only these read, except `MOVES` of half-precision numbers; with "bf16"
    also transposed convolutions (see `phases`). Inputs and outputs keep their types.

    Args:
        model: from `graph.prepare`: float32, with inferred types.
        precision: other precisions than "fp16" and "bf16" leave the model unchanged.

    Returns:
        The model, and the names of the nodes that stay in float32; none for an unchanged model.
    """
    if precision not in HALVES:
        return model, []
    half = HALVES[precision]
    types = element_types(model)
    low = _low_nodes(model, types, half)
    lowered = _Lowering(model, types, half).run(low)
    in_fp32 = [
        node.name
        for index, node in enumerate(model.graph.node)
        if index not in low and node.op_type != "Cast" and _float_names(node.output, types)
    ]
    return lowered, in_fp32


def is_all_fp32(model: ModelProto, precision: Precision) -> bool:
    """Return True if nothing in the model is in half precision although `precision` is."""
    half = HALVES.get(precision)
    casts = [entry.i for node in model.graph.node for entry in node.attribute if entry.name == "to"]
    return half is not None and half not in casts


def _float_names(names: Iterable[str], types: dict[str, int]) -> list[str]:
    return [name for name in names if types.get(name) == TensorProto.FLOAT]


def _low_nodes(model: ModelProto, types: dict[str, int], half: int) -> set[int]:
    """Return the indices of the nodes that run in half precision."""
    nodes = list(model.graph.node)
    values = {tensor.name: tensor for tensor in model.graph.initializer}
    readers: dict[str, list[int]] = {}
    maker = {name: index for index, node in enumerate(nodes) for name in node.output}
    for index, node in enumerate(nodes):
        for name in node.input:
            readers.setdefault(name, []).append(index)
    outputs = {output.name for output in model.graph.output}

    after: set[int] = set()
    sensitive: set[int] = set()
    for index, node in enumerate(nodes):
        makers = {maker[name] for name in node.input if name in maker}
        if node.op_type in PRODUCTS or makers & after:
            after.add(index)
        if (
            node.op_type in SENSITIVE
            or (node.op_type in NO_BFLOAT16 and half == TensorProto.BFLOAT16)
            or (node.op_type == "Mul" and node.input[0] == node.input[1])
            or (node.op_type == "Mul" and any(nodes[i].op_type in FACTORS for i in makers))
            or not all(
                _is_representable(values[name], half) for name in node.input if name in values
            )
        ):
            sensitive.add(index)
    # Operators whose results are only read in float32 are float32: the conversion of images at
    # the end, sums before a square root.
    for index, node in reversed(list(enumerate(nodes))):
        if node.op_type in PRODUCTS:
            continue
        last = any(name in outputs for name in node.output)
        if last or sensitive.issuperset(i for name in node.output for i in readers.get(name, [])):
            sensitive.add(index)
    low = {
        index
        for index, node in enumerate(nodes)
        if index in after and index not in sensitive and _float_names(node.output, types)
    }
    # Cast to float32 after a move, unless another reader needs the cast before it.
    for index, node in enumerate(nodes):
        if node.op_type in MOVES and maker.get(node.input[0]) in low:
            beside = readers[node.input[0]]
            if all(i in low or nodes[i].op_type in MOVES for i in beside):
                low.add(index)
    return low


def _is_representable(tensor: TensorProto, half: int) -> bool:
    """Return True if no value overflows and no scalar vanishes in half precision."""
    if tensor.data_type != TensorProto.FLOAT or half == TensorProto.BFLOAT16:
        return True
    values = np.abs(numpy_helper.to_array(tensor))
    vanishes = values.size == 1 and 0 < float(values.max()) < SMALLEST_HALF
    return not vanishes and bool((values <= LARGEST_HALF).all())


class _Lowering:
    """A conversion of a model, with one Cast per tensor and type where types change."""

    def __init__(self, model: ModelProto, types: dict[str, int], half: int) -> None:
        self.source, self.types, self.half = model, types, half
        self.suffix = "fp16" if half == TensorProto.FLOAT16 else "bf16"
        self.values = {tensor.name: tensor for tensor in model.graph.initializer}
        self.nodes: list[NodeProto] = []
        self.half_weights: dict[str, TensorProto] = {}
        self.casts: set[str] = set()
        self.halved: dict[str, str] = {}
        """Names of half-precision tensors in the new model, by the name in the source."""

    def run(self, low: set[int]) -> ModelProto:
        outputs = {output.name for output in self.source.graph.output}
        for index, source in enumerate(self.source.graph.node):
            node = copy.deepcopy(source)
            typed = _typed_inputs(node, self.types)
            for position, name in enumerate(node.input):
                in_half = index in low and position in typed
                node.input[position] = self.read(name, self.half if in_half else TensorProto.FLOAT)
            self.nodes.append(node)
            if index in low:
                for position, name in enumerate(node.output):
                    if self.types.get(name) == TensorProto.FLOAT:
                        self.halved[name] = node.output[position] = f"{name}.{self.suffix}"
            for name in set(source.output) & outputs & self.halved.keys():
                self._cast(self.halved[name], name, TensorProto.FLOAT)
        model = copy.deepcopy(self.source)
        graph = model.graph
        del graph.node[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        graph.initializer.extend(self.half_weights.values())
        read = {name for node in self.nodes for name in node.input}
        for tensor in [tensor for tensor in graph.initializer if tensor.name not in read]:
            graph.initializer.remove(tensor)
        return model

    def read(self, name: str, dtype: int) -> str:
        """Return the new name of a tensor of the source in a type; add a Cast if necessary."""
        if self.types.get(name) != TensorProto.FLOAT:
            return name
        suffix = self.suffix if dtype == self.half else "fp32"
        converted = f"{name}.{suffix}"
        if name in self.values:
            if dtype == TensorProto.FLOAT:
                return name
            if converted not in self.half_weights:
                array = numpy_helper.to_array(self.values[name])
                self.half_weights[converted] = half_tensor(array, converted, self.half)
            return converted
        current = self.halved.get(name, name)
        if (dtype == self.half) == (name in self.halved):
            return current
        if converted not in self.casts:
            self.casts.add(converted)
            self._cast(current, converted, dtype)
        return converted

    def _cast(self, source: str, result: str, dtype: int) -> None:
        self.nodes.append(
            helper.make_node("Cast", [source], [result], name=f"cast.{result}", to=dtype)
        )


def _typed_inputs(node: NodeProto, types: dict[str, int]) -> list[int]:
    """Return the positions of the inputs of the same type as the first output, unlike sizes."""
    schema = onnx.defs.get_schema(node.op_type, node.domain)
    if not schema.outputs or types.get(node.output[0]) != TensorProto.FLOAT:
        return []
    variable, formal = schema.outputs[0].type_str, list(schema.inputs)
    return [
        position
        for position, name in enumerate(node.input)
        if name and formal[min(position, len(formal) - 1)].type_str == variable
    ]


def half_tensor(values: NDArray[Any], name: str, half: int) -> TensorProto:
    """Round values to nearest even, and return them as a weight in half precision."""
    if half == TensorProto.FLOAT16:
        return numpy_helper.from_array(values.astype(np.float16), name)
    bits = values.astype(np.float32).view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return helper.make_tensor(name, half, values.shape, rounded.tobytes(), raw=True)
