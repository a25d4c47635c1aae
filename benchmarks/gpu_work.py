"""Operations and memory traffic of a model for one image, counted in its ONNX graph."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BYTES = {"fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2, "int8": 1, "fp8": 1}
"""Size of one number in each precision."""


@dataclass(frozen=True)
class Work:
    """Work for one image.

    flops: floating-point operations of the matrix products and convolutions, counting a
    multiply-add as two; tensors: the size of each tensor that a product reads or writes, without
    the weights; weights: number of weights, which a batch reads once; products: number of products;
    noise: number of noise streams; bytes_down: bytes of the image.
    """

    flops: int
    tensors: tuple[int, ...]
    weights: int
    products: int
    noise: int
    bytes_down: int

    def bytes_moved(self, batch: int, precision: str, cache: int = 0) -> int:
        """Return the minimum number of bytes that a batch moves through the device's memory.

        Assumes that everything between two products is fused into them, and that a tensor that fits
        into a cache of `cache` bytes stays there.
        """
        size = BYTES[precision]
        moved = [tensor * batch * size for tensor in self.tensors]
        moved += [self.weights * size, self.bytes_down * batch]
        return sum(count for count in moved if count > cache)


def count(engine: Path) -> Work:
    """Count the work of an engine file of the role generator; needs the package onnx.

    Raises ValueError if the shape of a product cannot be inferred.
    """
    import onnx

    from export.plan import graph
    from runtime import manifest

    document = manifest.read(engine)
    model = _one_row(graph.prepare(onnx.load(engine), document))
    constants = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    shapes = _shapes(model) | constants
    flops = weights = products = 0
    tensors: list[int] = []
    for node in model.graph.node:
        if node.op_type not in _COUNTED:
            continue
        try:
            flops += _COUNTED[node.op_type](node, shapes)
            sizes = {name: math.prod(shapes[name]) for name in (*node.input, *node.output) if name}
        except KeyError as error:
            raise ValueError(f"{engine.name}: {node.name}: unknown shape of {error}") from error
        products += 1
        weights += sum(size for name, size in sizes.items() if name in constants)
        tensors += [size for name, size in sizes.items() if name not in constants]
    height, width, channels = (document["image"][key] for key in ("height", "width", "channels"))
    noise = sum(
        entry.name == "latent" or entry.name.startswith("noise.") for entry in model.graph.input
    )
    return Work(flops, tuple(tensors), weights, products, noise, height * width * channels)


def _one_row(model: Any) -> Any:
    """Set the batch size to one and infer all shapes."""
    import onnx

    for entry in model.graph.input:
        for axis in entry.type.tensor_type.shape.dim:
            if axis.dim_param:
                axis.dim_value = 1
    del model.graph.value_info[:]
    for entry in model.graph.output:
        entry.type.tensor_type.ClearField("shape")
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def _shapes(model: Any) -> dict[str, tuple[int, ...]]:
    graph = model.graph
    return {
        entry.name: tuple(axis.dim_value for axis in entry.type.tensor_type.shape.dim)
        for entry in (*graph.value_info, *graph.input, *graph.output)
        if all(axis.HasField("dim_value") for axis in entry.type.tensor_type.shape.dim)
    }


Shapes = dict[str, tuple[int, ...]]


def _convolution(node: Any, shapes: Shapes) -> int:
    kernel = shapes[node.input[1]]
    return 2 * math.prod(shapes[node.output[0]]) * math.prod(kernel[1:])


def _transposed(node: Any, shapes: Shapes) -> int:
    kernel = shapes[node.input[1]]
    return 2 * math.prod(shapes[node.input[0]]) * math.prod(kernel[1:])


def _matrices(node: Any, shapes: Shapes) -> int:
    transposed = any(entry.name == "transA" and entry.i for entry in node.attribute)
    inner = shapes[node.input[0]][-2 if transposed else -1]
    return 2 * math.prod(shapes[node.output[0]]) * inner


_COUNTED = {
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "Gemm": _matrices,
    "MatMul": _matrices,
}
