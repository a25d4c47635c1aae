"""Half precision, written into the graph: TensorRT 11 computes in the types that stand there."""

from __future__ import annotations

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
"""Precisions that need calibration: `quantization.lower` makes them of "fp16"."""

HALVES = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
LARGEST_HALF = 65504.0
SMALLEST_HALF = 2.0**-24

PRODUCTS = frozenset(["Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum"])
"""What half precision is for; all that lies between two of these runs in it too."""

NO_BFLOAT16 = frozenset(["ConvTranspose"])
"""Products that TensorRT's compiler (TensorRT-RTX 1.7) has no bfloat16 form of."""

SENSITIVE = frozenset(
    "BatchNormalization CumSum Div Erf Exp GlobalAveragePool GroupNormalization "
    "InstanceNormalization LayerNormalization Log LogSoftmax LpNormalization "
    "MeanVarianceNormalization Pow RMSNormalization Reciprocal ReduceL1 ReduceL2 ReduceLogSum "
    "ReduceLogSumExp ReduceMean ReduceProd ReduceSum ReduceSumSquare Softmax Softplus Sqrt".split()
)
"""Sums over many values, and what their squares, quotients and exponents overflow in."""

MOVES = frozenset(
    "DepthToSpace Flatten Identity Reshape Slice SpaceToDepth Squeeze Transpose Unsqueeze".split()
)
"""What only moves the numbers of its first operand: of the halves it moves half as many bytes."""

FACTORS = frozenset(["Div", "Exp", "Pow", "Reciprocal", "Sqrt"])
"""What gives a factor of any size: the product with it stays in float32 too."""


def lower(model: ModelProto, precision: Precision) -> tuple[ModelProto, list[str]]:
    """The model with its products, and what lies between them, in half precision.

    In float32 stay: what comes before the first product (the latent, the levels of an image), what
    comes after the last one (the conversion to levels, scores), and the `SENSITIVE` operators with
    what only they read, but for `MOVES` of what is in half precision; with "bf16" also transposed
    convolutions (see `phases`). Inputs and outputs keep their types.

    Args:
        model: of `graph.prepare`: float32, its types inferred.
        precision: "fp32" and "tf32" leave it as it is; so do the `EIGHT_BITS`.

    Returns:
        The model, and the names of the nodes that compute in float32 although they were asked not
        to; none for "fp32" and "tf32".
    """
    if precision not in HALVES:
        return model, []
    half = HALVES[precision]
    types = element_types(model)
    low = _low_nodes(model, types, half)
    lowered = _Lowering(model, types, half).run(low)
    kept = [
        node.name
        for index, node in enumerate(model.graph.node)
        if index not in low and node.op_type != "Cast" and _floats(node.output, types)
    ]
    return lowered, kept


def only_fp32(model: ModelProto, precision: Precision) -> bool:
    """Whether half precision was asked for and nothing of the model came to be in it."""
    half = HALVES.get(precision)
    casts = [entry.i for node in model.graph.node for entry in node.attribute if entry.name == "to"]
    return half is not None and half not in casts


def _floats(names: Iterable[str], types: dict[str, int]) -> list[str]:
    return [name for name in names if types.get(name) == TensorProto.FLOAT]


def _low_nodes(model: ModelProto, types: dict[str, int], half: int) -> set[int]:
    """Indices of the nodes that run in half precision."""
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
            or _square(node)
            or (node.op_type == "Mul" and any(nodes[i].op_type in FACTORS for i in makers))
            or not all(_fits(values[name], half) for name in node.input if name in values)
        ):
            sensitive.add(index)
    # What only float32 reads is float32: the last image conversion, sums before a square root.
    for index, node in reversed(list(enumerate(nodes))):
        if node.op_type in PRODUCTS:
            continue
        last = any(name in outputs for name in node.output)
        if last or sensitive.issuperset(i for name in node.output for i in readers.get(name, [])):
            sensitive.add(index)
    low = {
        index
        for index, node in enumerate(nodes)
        if index in after and index not in sensitive and _floats(node.output, types)
    }
    # The cast to float32 comes after a move, unless it is made before it for another reader.
    for index, node in enumerate(nodes):
        if node.op_type in MOVES and maker.get(node.input[0]) in low:
            beside = readers[node.input[0]]
            if all(i in low or nodes[i].op_type in MOVES for i in beside):
                low.add(index)
    return low


def _square(node: NodeProto) -> bool:
    return node.op_type == "Mul" and node.input[0] == node.input[1]


def _fits(tensor: TensorProto, half: int) -> bool:
    """Whether half precision holds a constant: none overflows, no single number vanishes."""
    if tensor.data_type != TensorProto.FLOAT or half == TensorProto.BFLOAT16:
        return True
    values = np.abs(numpy_helper.to_array(tensor))
    vanishes = values.size == 1 and 0 < float(values.max()) < SMALLEST_HALF
    return not vanishes and bool((values <= LARGEST_HALF).all())


class _Lowering:
    """One rewriting of a model; casts are made where a type changes, one a tensor."""

    def __init__(self, model: ModelProto, types: dict[str, int], half: int) -> None:
        self.source, self.types, self.half = model, types, half
        self.suffix = "fp16" if half == TensorProto.FLOAT16 else "bf16"
        self.values = {tensor.name: tensor for tensor in model.graph.initializer}
        self.nodes: list[NodeProto] = []
        self.half_weights: dict[str, TensorProto] = {}
        self.casts: dict[tuple[str, int], str] = {}
        self.place: dict[str, str] = {}
        """Tensors in half precision: name in the source to name here."""

    def run(self, low: set[int]) -> ModelProto:
        outputs = {output.name for output in self.source.graph.output}
        for index, source in enumerate(self.source.graph.node):
            node = NodeProto()
            node.CopyFrom(source)
            shared = _shared(node, self.types)
            wanted = self.half if index in low else TensorProto.FLOAT
            for position in shared:
                node.input[position] = self.read(node.input[position], wanted)
            for position in set(range(len(node.input))) - set(shared):
                node.input[position] = self.read(node.input[position], TensorProto.FLOAT)
            self.nodes.append(node)
            if index in low:
                for position, name in enumerate(node.output):
                    if self.types.get(name) == TensorProto.FLOAT:
                        self.place[name] = node.output[position] = f"{name}.{self.suffix}"
            for name in set(source.output) & outputs & self.place.keys():
                self._cast(self.place[name], name, TensorProto.FLOAT)
        model = ModelProto()
        model.CopyFrom(self.source)
        graph = model.graph
        del graph.node[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        graph.initializer.extend(self.half_weights.values())
        read = {name for node in self.nodes for name in node.input}
        for tensor in [tensor for tensor in graph.initializer if tensor.name not in read]:
            graph.initializer.remove(tensor)
        return model

    def read(self, name: str, wanted: int) -> str:
        """The name under which a tensor of the source stands here in that type."""
        if self.types.get(name) != TensorProto.FLOAT:
            return name
        if name in self.values:
            if wanted == TensorProto.FLOAT:
                return name
            made = f"{name}.{self.suffix}"
            if made not in self.half_weights:
                array = numpy_helper.to_array(self.values[name])
                self.half_weights[made] = half_tensor(array, made, self.half)
            return made
        here = self.place.get(name, name)
        if (wanted == self.half) == (name in self.place):
            return here
        made = f"{name}.{self.suffix}" if wanted == self.half else f"{name}.fp32"
        if (name, wanted) not in self.casts:
            self.casts[name, wanted] = made
            self._cast(here, made, wanted)
        return self.casts[name, wanted]

    def _cast(self, source: str, made: str, wanted: int) -> None:
        self.nodes.append(
            helper.make_node("Cast", [source], [made], name=f"cast.{made}", to=wanted)
        )


def _shared(node: NodeProto, types: dict[str, int]) -> list[int]:
    """Positions of the inputs whose type is that of the first output, as sizes are not."""
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
    """Numbers rounded to nearest even, as a weight in half precision."""
    if half == TensorProto.FLOAT16:
        return numpy_helper.from_array(values.astype(np.float16), name)
    bits = values.astype(np.float32).view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return helper.make_tensor(name, half, values.shape, rounded.tobytes(), raw=True)
