"""Transposed convolutions as convolutions, which TensorRT computes in bf16 and eight bits too."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from export.plan.graph import remove_unused


def fits(node: NodeProto, weights: dict[str, TensorProto]) -> bool:
    """Whether `as_convolutions` can take the place of a transposed convolution.

    It has one stride above 1, which divides its square kernel, and neither groups nor dilation.
    """
    if node.op_type != "ConvTranspose" or node.input[1] not in weights:
        return False
    have = _attributes(node)
    size, strides = list(weights[node.input[1]].dims)[2:], have.get("strides", [1])
    return (
        len(size) == 2
        and len({*strides}) == len({*size}) == 1
        and strides[0] > 1
        and size[0] % strides[0] == 0
        and have.get("group", 1) == 1
        and {*have.get("dilations", [1])} == {1}
        and not any(have.get("output_padding", [0]))
        and have.get("auto_pad", b"NOTSET") == b"NOTSET"
        and "output_shape" not in have
    )


def where_they_fit(model: ModelProto) -> ModelProto:
    """`as_convolutions` of all transposed convolutions that fit."""
    model = named(model)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    names = [node.name for node in model.graph.node if fits(node, weights)]
    return as_convolutions(model, names) if names else model


def named(model: ModelProto) -> ModelProto:
    """A copy in which nodes without a name, or with another's, are named after their output."""
    made = ModelProto()
    made.CopyFrom(model)
    taken: set[str] = {""}
    for node in made.graph.node:
        if node.name in taken:
            node.name = node.output[0]
        taken.add(node.name)
    return made


def as_convolutions(model: ModelProto, names: Collection[str]) -> ModelProto:
    """A copy of a model in which the transposed convolutions of those names are convolutions.

    With stride s and kernel k a pixel of the output is a sum over k/s × k/s pixels of the input;
    which weights it takes depends on its place modulo s. So all s² kinds of pixels are channels of
    one convolution of kernel k/s, which are then shuffled into place (Shi et al. 2016,
    arXiv:1609.07009), and the padding is cut off. The products are the same but for the border, the
    sums are those of the same numbers.

    Args:
        model: float32, its types inferred.
        names: of nodes that `fits` holds for.
    """
    made = ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        nodes += _phases(node, weights, graph) if node.name in names else [node]
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(copies)
    remove_unused(made)
    return onnx.shape_inference.infer_shapes(made, check_type=True, strict_mode=True)


def _phases(node: NodeProto, weights: dict[str, TensorProto], graph: Any) -> list[NodeProto]:
    have, name = _attributes(node), node.output[0]
    kernel = numpy_helper.to_array(weights[node.input[1]])
    stride = int(have["strides"][0])
    taps = kernel.shape[2] // stride
    constants: dict[str, NDArray[Any]] = {"kernel": _kernel(kernel, stride)}
    operands = [node.input[0], f"{name}.kernel"]
    if len(node.input) > 2 and node.input[2]:
        bias = numpy_helper.to_array(weights[node.input[2]])
        constants["bias"] = np.tile(bias, stride * stride)
        operands.append(f"{name}.bias")
    top, left, bottom, right = have.get("pads", [0] * 4)
    end = np.iinfo(np.int64).max
    constants["from"] = np.array([top, left], np.int64)
    constants["to"] = np.array([-bottom or end, -right or end], np.int64)
    constants["axes"] = np.array([2, 3], np.int64)
    graph.initializer.extend(
        numpy_helper.from_array(value, f"{name}.{key}") for key, value in constants.items()
    )
    size = {"kernel_shape": [taps] * 2, "pads": [taps - 1] * 4}
    bounds = [f"{name}.{key}" for key in ("from", "to", "axes")]
    return [
        helper.make_node("Conv", operands, [f"{name}.phases"], name=node.name, **size),
        helper.make_node(
            "DepthToSpace",
            [f"{name}.phases"],
            [f"{name}.whole"],
            name=f"{node.name}.shuffle",
            blocksize=stride,
        ),
        helper.make_node("Slice", [f"{name}.whole", *bounds], [name], name=f"{node.name}.crop"),
    ]


def _kernel(kernel: NDArray[Any], stride: int) -> NDArray[Any]:
    """[C, D, k, k] of the transposed convolution as [s·s·D, C, k/s, k/s] of the convolution."""
    into, out, size, _ = kernel.shape
    taps = size // stride
    split = kernel.reshape(into, out, taps, stride, taps, stride)
    # A convolution runs over its kernel the other way round.
    turned = split[:, :, ::-1, :, ::-1, :].transpose(3, 5, 1, 0, 2, 4)
    return np.ascontiguousarray(turned.reshape(stride * stride * out, into, taps, taps))


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
