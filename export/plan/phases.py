"""Rewriting of transposed convolutions to convolutions, for bf16 and eight bits in TensorRT."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from export.graph import remove_unused


def is_supported(node: NodeProto, weights: dict[str, TensorProto]) -> bool:
    """Return True if `rewrite` supports the node.

    It is a transposed convolution with one stride above 1, which divides its square kernel, and
    neither groups nor dilation.
    """
    if node.op_type != "ConvTranspose" or node.input[1] not in weights:
        return False
    attributes = _attributes(node)
    size, strides = list(weights[node.input[1]].dims)[2:], attributes.get("strides", [1])
    return (
        len(size) == 2
        and len({*strides}) == len({*size}) == 1
        and strides[0] > 1
        and size[0] % strides[0] == 0
        and attributes.get("group", 1) == 1
        and {*attributes.get("dilations", [1])} == {1}
        and not any(attributes.get("output_padding", [0]))
        and attributes.get("auto_pad", b"NOTSET") == b"NOTSET"
        and "output_shape" not in attributes
    )


def rewrite_all(model: ModelProto) -> ModelProto:
    """Apply `rewrite` to all supported transposed convolutions."""
    model = name_nodes(model)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    names = [node.name for node in model.graph.node if is_supported(node, weights)]
    return rewrite(model, names) if names else model


def name_nodes(model: ModelProto) -> ModelProto:
    """Return a copy in which nodes without a unique name are named after their output."""
    model = copy.deepcopy(model)
    names: set[str] = {""}
    for node in model.graph.node:
        if node.name in names:
            node.name = node.output[0]
        names.add(node.name)
    return model


def rewrite(model: ModelProto, names: Collection[str]) -> ModelProto:
    """Return a copy of a model in which some transposed convolutions are convolutions.

    With stride s and kernel k, a pixel of the output is a sum over k/s × k/s pixels of the input,
    whose weights depend on its position modulo s. Therefore all s² kinds of pixels are channels of
    one convolution with kernel k/s, which are then shuffled into place (Shi et al. 2016,
    arXiv:1609.07009) before the padding is cropped. Each sum has the same terms as before.

    Args:
        model: float32, with inferred types.
        names: of the nodes to rewrite, which `is_supported`.
    """
    result = copy.deepcopy(model)
    graph = result.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    del graph.node[:], graph.value_info[:]
    for node in model.graph.node:
        graph.node.extend(
            _phase_nodes(node, weights, graph) if node.name in names else [copy.deepcopy(node)]
        )
    remove_unused(result)
    return onnx.shape_inference.infer_shapes(result, check_type=True, strict_mode=True)


def _phase_nodes(node: NodeProto, weights: dict[str, TensorProto], graph: Any) -> list[NodeProto]:
    attributes, name = _attributes(node), node.output[0]
    kernel = numpy_helper.to_array(weights[node.input[1]])
    stride = int(attributes["strides"][0])
    taps = kernel.shape[2] // stride
    constants: dict[str, NDArray[Any]] = {"kernel": _phase_kernel(kernel, stride)}
    operands = [node.input[0], f"{name}.kernel"]
    if len(node.input) > 2 and node.input[2]:
        bias = numpy_helper.to_array(weights[node.input[2]])
        constants["bias"] = np.tile(bias, stride * stride)
        operands.append(f"{name}.bias")
    top, left, bottom, right = attributes.get("pads", [0] * 4)
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


def _phase_kernel(kernel: NDArray[Any], stride: int) -> NDArray[Any]:
    """Convert a transposed kernel [C, D, k, k] to that of the convolution, [s·s·D, C, k/s, k/s]."""
    into, out, size, _ = kernel.shape
    taps = size // stride
    split = kernel.reshape(into, out, taps, stride, taps, stride)
    # A convolution traverses its kernel in the opposite direction.
    turned = split[:, :, ::-1, :, ::-1, :].transpose(3, 5, 1, 0, 2, 4)
    return np.ascontiguousarray(turned.reshape(stride * stride * out, into, taps, taps))


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
