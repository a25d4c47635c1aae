"""Products in eight bits, between QuantizeLinear and DequantizeLinear, as TensorRT reads them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from export.errors import ExportError
from export.graph import opset
from export.plan import calibration, phases, precision
from export.plan.graph import remove_unused
from export.plan.samples import Calibration, gather
from export.plan.sensitivity import affordable

EightBits = Literal["int8", "fp8"]
LARGEST = {"int8": 127.0, "fp8": 448.0}
"""What a scale of 1 holds: of E4M3FN the largest finite number."""

ELEMENTS = {"int8": TensorProto.INT8, "fp8": TensorProto.FLOAT8E4M3FN}
LEAST_OPSET = 19
"""The first in which the two operators have fp8, and scales in half precision."""

SMALLEST_SCALE = 2.0**-20
"""Scales are fp16: below this they would lose more digits than they have to spare."""


@dataclass(frozen=True)
class Quantized:
    """A graph for TensorRT, the nodes that are not in eight bits, and how it was calibrated.

    `fp32` names all nodes that compute in fp32, `fp16` the products that compute in fp16, `eight`
    those in eight bits. `calibration` is for the manifest; None where nothing is in eight bits.
    """

    model: ModelProto
    fp32: list[str]
    fp16: list[str]
    eight: list[str]
    calibration: dict[str, Any] | None

    def fields(self) -> dict[str, Any]:
        """What the manifest of a plan says of it beside `fp32_layers`."""
        more = {} if self.calibration is None else {"calibration": self.calibration}
        return {"fp16_layers": self.fp16} | more


def lower(
    model: ModelProto,
    manifest: dict[str, Any],
    engine: Path,
    dtype: EightBits,
    calibrate: Calibration,
    progress: Callable[[str], None] = lambda line: None,
) -> Quantized:
    """The model with the products between its first and its last ones in eight bits.

    The rest is as `precision.lower` leaves it for "fp16", and so are products with which the whole
    would be off by more than `sensitivity` allows. Transposed convolutions become
    convolutions first, where that can be (`phases`).

    Args:
        model: of `graph.prepare`: float32, its types inferred.
        manifest: of the engine file, and `engine` its place.
        dtype: the eight bits.
        calibrate: the samples to calibrate with.
        progress: called with a line before it is calibrated.

    Raises:
        ExportError: as `samples.gather` and `calibration.limits`; or the opset has no such types.
    """
    if opset(model) < LEAST_OPSET:
        raise ExportError(
            f"{engine.name} is in opset {opset(model)}; {dtype} needs {LEAST_OPSET} or later"
        )
    model = phases.named(model)
    transposed = {node.name for node in model.graph.node if node.op_type == "ConvTranspose"}
    reach: dict[str, float] = {}

    def halved(names: Collection[str]) -> tuple[ModelProto, list[str]]:
        return precision.lower(phases.as_convolutions(model, transposed & {*names}), "fp16")

    def quantised(names: Collection[str]) -> ModelProto:
        return insert(halved(names)[0], dtype, {name: reach[read[name]] for name in names})

    nodes = {node.name for node in model.graph.node}
    candidates = products(model)
    in_fp32 = halved(candidates)[1]
    names = [name for name in candidates if name not in in_fp32]
    read = {node.name: node.input[0] for node in model.graph.node if node.name in names}
    described = None
    if names:
        samples = gather(list(model.graph.input), manifest, engine, calibrate)
        progress(f"calibrating {engine.name} with {samples.count} samples: {samples.source}")
        reach |= calibration.limits(model, list(dict.fromkeys(read.values())), samples)
        names = affordable(model, quantised, names, samples)
        if dropped := len(read) - len(names):
            progress(
                f"{dropped} of {len(read)} products of {engine.name} stay in fp16: "
                f"in {dtype} they cost too much quality"
            )
        if names:
            described = {
                "method": calibration.METHOD,
                "source": samples.source,
                "samples": samples.count,
            }
    # The replacement of a transposed convolution has names that do not occur in the engine.
    kept = [name for name in halved(names)[1] if name in nodes]
    others = [
        node.name
        for node in model.graph.node
        if node.op_type in precision.PRODUCTS and node.name not in {*names, *kept}
    ]
    return Quantized(quantised(names), kept, others, names, described)


def products(model: ModelProto) -> list[str]:
    """Names of the products that can be in eight bits, in their order.

    They have constant weights and no groups, and are neither the first nor the last on any way
    through the network: those cost most of the quality and little of the time. Transposed
    convolutions are among them where they can be written as convolutions.
    """
    nodes = list(model.graph.node)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    below = _reached(nodes, lambda node: (node.input, node.output))
    above = _reached(nodes[::-1], lambda node: (node.output, node.input))
    return [
        node.name
        for node in nodes
        if node.name in below & above
        and node.input[1] in weights
        and (
            node.op_type in ("Gemm", "MatMul")
            or (node.op_type == "Conv" and _attribute(node, "group", 1) == 1)
            or phases.fits(node, weights)
        )
        and not _attribute(node, "transA", 0)
    ]


def _reached(nodes: list[NodeProto], ends: Callable[[NodeProto], Any]) -> set[str]:
    """Names of the products that follow another one, in the order of the nodes."""
    after: set[str] = set()
    found = set()
    for node in nodes:
        sources, results = ends(node)
        product = node.op_type in precision.PRODUCTS
        follows = bool(after.intersection(sources))
        if product and follows:
            found.add(node.name)
        if product or follows:
            after.update(results)
    return found


def insert(model: ModelProto, dtype: EightBits, limits: dict[str, float]) -> ModelProto:
    """A copy of a model with quantised inputs and weights before some of its products.

    Symmetric: zero points are 0. Inputs have one scale; so have the weights of matrix products,
    whose sums TensorRT-RTX 1.7 would else hand on in fp16 before it scales them, where they may
    overflow. Those of convolutions have one for each channel of the output in int8; in fp8, whose
    numbers have exponents of their own, more than one gains nothing. Biases stay as they are.

    Args:
        model: of `precision.lower`.
        dtype: the eight bits.
        limits: for each product, by its name, what its input's numbers stay below.
    """
    made = ModelProto()
    made.CopyFrom(model)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    writer = _Writer(made.graph, dtype)
    del made.graph.node[:], made.graph.value_info[:]
    for source in model.graph.node:
        node = NodeProto()
        node.CopyFrom(source)
        if node.name in limits:
            kernel = weights[node.input[1]]
            axis = 0 if node.op_type == "Conv" and dtype == "int8" else None
            node.input[0] = writer.activation(node.input[0], limits[node.name])
            node.input[1] = writer.weight(kernel, axis)
        made.graph.node.append(node)
    remove_unused(made)
    return made


class _Writer:
    """Adds quantised tensors to a graph, each once."""

    def __init__(self, graph: Any, dtype: EightBits) -> None:
        self.graph, self.dtype = graph, dtype
        self.largest, self.element = LARGEST[dtype], ELEMENTS[dtype]
        self.made: set[str] = set()

    def activation(self, name: str, limit: float) -> str:
        """The name of a tensor after it was quantised with one scale."""
        if name not in self.made:
            self.made.add(name)
            self._scale(name, np.array(limit))
            self._node("QuantizeLinear", [name, f"{name}.scale"], f"{name}.{self.dtype}")
            self._dequantize(name)
        return f"{name}.real"

    def weight(self, tensor: TensorProto, axis: int | None) -> str:
        """The name of a weight that is stored in eight bits; one scale, or one a row of `axis`."""
        name = tensor.name
        if name not in self.made:
            self.made.add(name)
            values = numpy_helper.to_array(tensor).astype(np.float64)
            rows = np.abs(values if axis is None else np.moveaxis(values, axis, 0))
            reach = rows.max() if axis is None else rows.reshape(len(rows), -1).max(1)
            scale = self._scale(name, np.asarray(reach))
            if axis is not None:
                shape = [-1 if index == axis else 1 for index in range(values.ndim)]
                scale = scale.reshape(shape)
            stored = np.clip(values / scale, -self.largest, self.largest)
            if self.dtype == "int8":
                stored = np.rint(stored)
            self._constant(f"{name}.{self.dtype}", stored)
            self._dequantize(name, **({} if axis is None else {"axis": axis}))
        return f"{name}.real"

    def _scale(self, name: str, limit: NDArray[Any]) -> NDArray[np.float64]:
        """Store the scale that takes a limit to the largest number, and a zero point of 0."""
        wide = np.maximum(limit / self.largest, SMALLEST_SCALE)
        tensor = precision.half_tensor(wide, f"{name}.scale", TensorProto.FLOAT16)
        self.graph.initializer.append(tensor)
        self._constant(f"{name}.zero", np.zeros(np.shape(limit)))
        # As it is stored: the numbers that are divided by it are multiplied by it later.
        return numpy_helper.to_array(tensor).astype(np.float64)

    def _constant(self, name: str, values: NDArray[np.float64]) -> None:
        kept: NDArray[Any] = values.astype(np.int8) if self.dtype == "int8" else values
        flat = kept.astype(np.float32).ravel() if self.dtype == "fp8" else kept.ravel()
        self.graph.initializer.append(helper.make_tensor(name, self.element, kept.shape, flat))

    def _dequantize(self, name: str, **options: int) -> None:
        stored = [f"{name}.{self.dtype}", f"{name}.scale"]
        self._node("DequantizeLinear", stored, f"{name}.real", **options)

    def _node(self, kind: str, operands: list[str], result: str, **options: int) -> None:
        zero = operands[1].removesuffix("scale") + "zero"
        self.graph.node.append(
            helper.make_node(kind, [*operands, zero], [result], name=f"{kind}.{result}", **options)
        )


def _attribute(node: NodeProto, name: str, otherwise: int) -> int:
    return next((int(entry.i) for entry in node.attribute if entry.name == name), otherwise)
