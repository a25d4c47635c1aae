"""What a model has to compute and to move for one image, counted in its ONNX graph."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BYTES = {"fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2, "int8": 1, "fp8": 1}
"""Size of one number in each precision."""


@dataclass(frozen=True)
class Work:
    """For one image.

    flops: floating-point operations of the matrix products and convolutions, a multiplication and
    an addition being two; tensors: the size of each tensor that a product reads or writes, without
    the weights; weights: numbers in all weights, which a batch reads once; products: how many there
    are; noise: streams that are drawn; bytes_down: bytes of the image.
    """

    flops: int
    tensors: tuple[int, ...]
    weights: int
    products: int
    noise: int
    bytes_down: int

    def bytes_moved(self, batch: int, precision: str, cache: int = 0) -> int:
        """The least that a batch moves through the device's memory.

        All that stands between two products counts as fused into them, and what fits into a cache
        of so many bytes as staying there.
        """
        size = BYTES[precision]
        moved = [tensor * batch * size for tensor in self.tensors]
        moved += [self.weights * size, self.bytes_down * batch]
        return sum(count for count in moved if count > cache)


def count(engine: Path) -> Work:
    """The work of an engine file of the role generator; needs the package onnx.

    Raises ValueError for a product whose shape cannot be inferred.
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
            raise ValueError(f"{engine.name}: no shape of {error} at {node.name}") from error
        products += 1
        weights += sum(size for name, size in sizes.items() if name in constants)
        tensors += [size for name, size in sizes.items() if name not in constants]
    height, width, channels = (document["image"][key] for key in ("height", "width", "channels"))
    noise = sum(
        given.name == "latent" or given.name.startswith("noise.") for given in model.graph.input
    )
    return Work(flops, tuple(tensors), weights, products, noise, height * width * channels)


def _one_row(model: Any) -> Any:
    """The model for a batch of one, its shapes inferred."""
    import onnx

    for given in model.graph.input:
        for axis in given.type.tensor_type.shape.dim:
            if axis.dim_param:
                axis.dim_value = 1
    del model.graph.value_info[:]
    for made in model.graph.output:
        made.type.tensor_type.ClearField("shape")
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
    turned = any(entry.name == "transA" and entry.i for entry in node.attribute)
    inner = shapes[node.input[0]][-2 if turned else -1]
    return 2 * math.prod(shapes[node.output[0]]) * inner


_COUNTED = {
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "Gemm": _matrices,
    "MatMul": _matrices,
}
