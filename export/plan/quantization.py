"""Quantization of products to eight bits, by QuantizeLinear and DequantizeLinear nodes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from export.errors import ExportError
from export.graph import opset, read_attribute, remove_unused
from export.plan import calibration, phases, precision
from export.plan.calibration_set import Calibration
from export.plan.samples import gather
from export.plan.sensitivity import run_graphs, select_products

EightBits = Literal["int8", "fp8"]
LARGEST = {"int8": 127.0, "fp8": 448.0}
"""Largest finite number of each type, INT8 (symmetric) and E4M3FN."""

ELEMENTS = {"int8": TensorProto.INT8, "fp8": TensorProto.FLOAT8E4M3FN}
LEAST_OPSET = 19
"""First opset with fp8 and half-precision scales in the two operators."""

SMALLEST_SCALE = 2.0**-20
"""Least scale: smaller ones would lose too many digits in fp16."""


@dataclass(frozen=True)
class Quantized:
    """A graph for TensorRT, the types of its nodes, and its calibration.

    `fp32` names all nodes in fp32, `fp16` the products in fp16, `eight` those in eight bits.
    `calibration` is the field of the manifest, None if nothing is in eight bits.
    """

    model: ModelProto
    fp32: list[str]
    fp16: list[str]
    eight: list[str]
    calibration: dict[str, Any] | None

    def fields(self) -> dict[str, Any]:
        """Return the fields `fp16_layers` and `calibration` of the manifest."""
        calibration = {} if self.calibration is None else {"calibration": self.calibration}
        return {"fp16_layers": self.fp16} | calibration


def lower(
    model: ModelProto,
    manifest: dict[str, Any],
    engine: Path,
    dtype: EightBits,
    calibrate: Calibration,
    progress: Callable[[str], None] = lambda line: None,
) -> Quantized:
    """Convert the products between the first and the last ones of a model to eight bits.

    All else is converted by `precision.lower` to "fp16", as are products that would change the
    outputs by more than `sensitivity` allows. Transposed convolutions are first rewritten to
    convolutions, if possible (`phases`).

    Args:
        model: from `graph.prepare`: float32, with inferred types.
        manifest: of the engine file at `engine`.
        dtype: the type of eight bits.
        calibrate: source of the calibration samples.
        progress: called with a line before the calibration.

    Raises:
        ExportError: as `samples.gather` and `calibration.measure_limits`; or the opset is too old.
    """
    if opset(model) < LEAST_OPSET:
        raise ExportError(
            f"{engine.name} is in opset {opset(model)}; {dtype} needs {LEAST_OPSET} or later"
        )
    model = phases.name_nodes(model)
    transposed = {node.name for node in model.graph.node if node.op_type == "ConvTranspose"}
    limits: dict[str, float] = {}

    def lower_to_half(names: Collection[str]) -> tuple[ModelProto, list[str]]:
        return precision.lower(phases.rewrite(model, transposed & {*names}), "fp16")

    def quantize(names: Collection[str]) -> ModelProto:
        product_limits = {name: limits[operands[name]] for name in names}
        return insert_quantization(lower_to_half(names)[0], dtype, product_limits)

    candidates = quantizable_products(model)
    in_fp32 = lower_to_half(candidates)[1]
    names = [name for name in candidates if name not in in_fp32]
    operands = {node.name: node.input[0] for node in model.graph.node if node.name in names}
    description = None
    if names:
        samples = gather(list(model.graph.input), manifest, engine, calibrate)
        progress(f"calibrating {engine.name} with {samples.count} samples: {samples.source}")
        limits |= calibration.measure_limits(model, [*dict.fromkeys(operands.values())], samples)
        names = select_products(names, run_graphs(model, quantize, samples))
        if dropped := len(operands) - len(names):
            progress(
                f"{dropped} of {len(operands)} products of {engine.name} stay in fp16: "
                f"in {dtype} they would lose too much quality"
            )
        if names:
            description = {
                "method": calibration.METHOD,
                "source": samples.source,
                "samples": samples.count,
            }
    # Nodes that replace transposed convolutions have names that do not occur in the engine.
    nodes = {node.name for node in model.graph.node}
    fp32 = [name for name in lower_to_half(names)[1] if name in nodes]
    fp16 = [
        node.name
        for node in model.graph.node
        if node.op_type in precision.PRODUCTS and node.name not in {*names, *fp32}
    ]
    return Quantized(quantize(names), fp32, fp16, names, description)


def quantizable_products(model: ModelProto, inner: bool = True) -> list[str]:
    """Return the names of the products that can be in eight bits, in the order of the graph.

    They have constant weights and no groups. Transposed convolutions are included if they can be
    rewritten to convolutions.

    Args:
        model: from `graph.prepare`.
        inner: leave out the first and the last products on any path through the network, which cost
            most of the quality and, on a GPU, little of the time.
    """
    nodes = list(model.graph.node)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    below = _products_after_another(nodes, lambda node: (node.input, node.output))
    above = _products_after_another(nodes[::-1], lambda node: (node.output, node.input))
    return [
        node.name
        for node in nodes
        if node.op_type in precision.PRODUCTS
        and (not inner or node.name in below & above)
        and node.input[1] in weights
        and (
            node.op_type in ("Gemm", "MatMul")
            or (node.op_type == "Conv" and read_attribute(node, "group", 1) == 1)
            or phases.is_supported(node, weights)
        )
        and not read_attribute(node, "transA", 0)
    ]


def _products_after_another(nodes: list[NodeProto], ends: Callable[[NodeProto], Any]) -> set[str]:
    """Return the names of the products that depend on another one, in the order of the nodes."""
    dependent: set[str] = set()
    products = set()
    for node in nodes:
        sources, results = ends(node)
        is_product = node.op_type in precision.PRODUCTS
        depends = bool(dependent.intersection(sources))
        if is_product and depends:
            products.add(node.name)
        if is_product or depends:
            dependent.update(results)
    return products


def insert_quantization(
    model: ModelProto, dtype: EightBits, limits: dict[str, float]
) -> ModelProto:
    """Return a copy of a model with quantized inputs and weights of some products.

    Quantization is symmetric: zero points are 0. An input has one scale. So have the weights of a
    matrix product: with several scales, TensorRT-RTX 1.7 keeps sums in fp16 before it scales them,
    where they may overflow. The weights of a convolution have one scale per output channel in int8;
    in fp8, whose numbers have exponents, several scales gain nothing. Biases are not quantized.

    Args:
        model: from `precision.lower`.
        dtype: the type of eight bits.
        limits: greatest absolute value of the input of each product to quantize, by its name.
    """
    result = copy.deepcopy(model)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    writer = _Writer(result.graph, dtype)
    del result.graph.node[:], result.graph.value_info[:]
    for source in model.graph.node:
        node = copy.deepcopy(source)
        if node.name in limits:
            kernel = weights[node.input[1]]
            axis = 0 if node.op_type == "Conv" and dtype == "int8" else None
            node.input[0] = writer.activation(node.input[0], limits[node.name])
            node.input[1] = writer.weight(kernel, axis)
        result.graph.node.append(node)
    remove_unused(result)
    return result


class _Writer:
    """Writer of quantized tensors to a graph, each once."""

    def __init__(self, graph: Any, dtype: EightBits) -> None:
        self.graph, self.dtype = graph, dtype
        self.largest, self.element = LARGEST[dtype], ELEMENTS[dtype]
        self.written: set[str] = set()

    def activation(self, name: str, limit: float) -> str:
        """Quantize a tensor with one scale; return the name of the result."""
        if name not in self.written:
            self.written.add(name)
            self._scale(name, np.array(limit))
            self._node("QuantizeLinear", [name, f"{name}.scale"], f"{name}.{self.dtype}")
            self._dequantize(name)
        return f"{name}.real"

    def weight(self, tensor: TensorProto, axis: int | None) -> str:
        """Quantize a weight, with one scale or one per index of `axis`; return the new name."""
        name = tensor.name
        if name not in self.written:
            self.written.add(name)
            values = numpy_helper.to_array(tensor).astype(np.float64)
            other_axes = tuple(index for index in range(values.ndim) if index != axis)
            scale = self._scale(name, np.asarray(np.abs(values).max(other_axes)))
            if axis is not None:
                scale = np.expand_dims(scale, other_axes)
            stored = np.clip(values / scale, -self.largest, self.largest)
            if self.dtype == "int8":
                stored = np.rint(stored)
            self._constant(f"{name}.{self.dtype}", stored)
            self._dequantize(name, **({} if axis is None else {"axis": axis}))
        return f"{name}.real"

    def _scale(self, name: str, limit: NDArray[Any]) -> NDArray[np.float64]:
        """Store the scale that maps a limit to the largest number, and a zero point of 0."""
        wide = np.maximum(limit / self.largest, SMALLEST_SCALE)
        tensor = precision.half_tensor(wide, f"{name}.scale", TensorProto.FLOAT16)
        self.graph.initializer.append(tensor)
        self._constant(f"{name}.zero", np.zeros(np.shape(limit)))
        # Rounded as stored: numbers are divided by it now and multiplied by it later.
        return numpy_helper.to_array(tensor).astype(np.float64)

    def _constant(self, name: str, values: NDArray[np.float64]) -> None:
        flat = values.astype(np.int8 if self.dtype == "int8" else np.float32).ravel()
        self.graph.initializer.append(helper.make_tensor(name, self.element, values.shape, flat))

    def _dequantize(self, name: str, **options: int) -> None:
        stored = [f"{name}.{self.dtype}", f"{name}.scale"]
        self._node("DequantizeLinear", stored, f"{name}.real", **options)

    def _node(self, kind: str, operands: list[str], result: str, **options: int) -> None:
        zero = operands[1].removesuffix("scale") + "zero"
        self.graph.node.append(
            helper.make_node(kind, [*operands, zero], [result], name=f"{kind}.{result}", **options)
        )
