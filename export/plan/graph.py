"""Passes that convert the graph of an engine file to one that TensorRT supports."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from export.errors import ExportError
from export.functions import DOMAIN
from export.graph import read_attribute, remove_domain, remove_learned_prior, remove_unused

LATENT_STREAM = 0

# Operators that only move numbers, which works for bytes and floats alike.
MOVES = frozenset(
    "Concat Expand Flatten Gather Identity Reshape Slice Split Squeeze Tile Transpose "
    "Unsqueeze".split()
)


def prepare(model: ModelProto, manifest: dict[str, Any]) -> ModelProto:
    """Return a copy of an engine's model that TensorRT parses, with float32 weights.

    The results of the noise operators become inputs, float32 [N, width]: `latent`, and
    `noise.<stream>` for the noise of layers. The inputs `mu`, `logvar`, `seed` and `first` are
    removed. All other inputs and outputs keep their names and types.

    Raises:
        ExportError: an operator of ours is not supported in plans, or the graph computes on bytes.
    """
    model = copy.deepcopy(model)
    remove_learned_prior(model)
    replace_noise_by_inputs(model, manifest)
    convert_constants_to_weights(model)
    fold_casts(model)
    remove_unused(model)
    convert_bytes_to_floats(model)
    del model.graph.value_info[:]
    del model.metadata_props[:]
    return onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)


def replace_noise_by_inputs(model: ModelProto, manifest: dict[str, Any]) -> None:
    """Replace each noise operator by an input, which the kernel of the runtime fills.

    Without a plugin (`plugins.draw_noise`), TensorRT cannot run our operators.
    """
    widths, rows = noise_widths(manifest), _batch_axis(model)
    for node in [node for node in model.graph.node if node.domain == DOMAIN]:
        if node.op_type != "ReparametrizedSample":
            raise ExportError(f"plans do not support the operator {DOMAIN}::{node.op_type}")
        stream = read_attribute(node, "stream", 0)
        if stream not in widths:
            raise ExportError(f"the manifest has no width for the noise stream {stream}")
        name = noise_input(stream)
        _rename(model, node.output[0], name)
        model.graph.node.remove(node)
        shape = [rows, widths[stream]]
        model.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    remove_domain(model)


def noise_input(stream: int) -> str:
    """Return the name of the input that takes the place of a noise operator."""
    return "latent" if stream == LATENT_STREAM else f"noise.{stream}"


def noise_widths(manifest: dict[str, Any]) -> dict[int, int]:
    """Return how many numbers each noise stream draws per image; nothing without noise."""
    streams = manifest.get("noise", {}).get("streams", {})
    widths = {int(layer["stream"]): int(layer["width"]) for layer in streams.get("layers", [])}
    if "latent" in streams:
        widths[int(streams["latent"])] = int(manifest["latent"]["width"])
    return widths


def _batch_axis(model: ModelProto) -> str:
    """Return the name of the batch axis; TensorRT treats two names as two axes."""
    shapes = [entry.type.tensor_type.shape.dim for entry in model.graph.input]
    return next((shape[0].dim_param for shape in shapes if shape and shape[0].dim_param), "N")


def _rename(model: ModelProto, old: str, new: str) -> None:
    if old == new:
        return
    used = {entry.name for entry in (*model.graph.input, *model.graph.initializer)}
    if new in used | {output for node in model.graph.node for output in node.output}:
        raise ExportError(f"the tensor {new} is not the output of the noise operator")
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]


def convert_constants_to_weights(model: ModelProto) -> None:
    """Convert Constant nodes to weights, so that passes see one kind of constant."""
    for node in [node for node in model.graph.node if node.op_type == "Constant"]:
        value = node.attribute[0]
        if value.name == "value":
            tensor = value.t
        else:
            dtype = np.float32 if value.name.startswith("value_float") else np.int64
            tensor = numpy_helper.from_array(np.array(helper.get_attribute_value(value), dtype))
        tensor.name = node.output[0]
        model.graph.initializer.append(tensor)
        model.graph.node.remove(node)


def fold_casts(model: ModelProto) -> None:
    """Convert weights in half precision before a Cast to float32."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in list(model.graph.node):
        if (
            node.op_type != "Cast"
            or node.input[0] not in weights
            or read_attribute(node, "to") != TensorProto.FLOAT
        ):
            continue
        values = numpy_helper.to_array(weights[node.input[0]]).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
        model.graph.node.remove(node)


def convert_bytes_to_floats(model: ModelProto) -> None:
    """Cast each uint8 input first, since TensorRT supports bytes only at the ends of a network.

    Operators between the input and the original Cast move the levels as floats, which are exact.
    """
    graph = model.graph
    for entry in [entry for entry in graph.input if _type(entry) == TensorProto.UINT8]:
        floats = f"{entry.name}.float"
        moved = {entry.name: floats}
        for node in list(graph.node):
            if not moved.keys() & set(node.input):
                continue
            if node.op_type == "Cast":
                _replace_cast(graph, node, moved[node.input[0]])
                continue
            if node.op_type == "Shape":
                node.input[0] = moved[node.input[0]]
                continue
            if node.op_type not in MOVES or not _is_movable(node.input, moved, _weights(model)):
                raise ExportError(
                    f"the node {node.name} ({node.op_type}) computes on the bytes of {entry.name}; "
                    "TensorRT computes on floats only"
                )
            node.input[:] = [moved.get(name, name) for name in node.input]
            moved |= {name: f"{name}.float" for name in node.output}
            node.output[:] = [moved[name] for name in node.output]
        cast = helper.make_node(
            "Cast", [entry.name], [floats], name=f"cast.{entry.name}", to=TensorProto.FLOAT
        )
        graph.node.insert(0, cast)


def _replace_cast(graph: Any, node: NodeProto, floats: str) -> None:
    """Remove a Cast to float32, whose input is now float32; let other Casts read that input."""
    node.input[0] = floats
    if read_attribute(node, "to") == TensorProto.FLOAT:
        for other in graph.node:
            other.input[:] = [floats if name == node.output[0] else name for name in other.input]
        graph.node.remove(node)


def _is_movable(names: Iterable[str], moved: dict[str, str], weights: set[str]) -> bool:
    """Return True if the first input is moved, and the others are moved or weights."""
    first, *rest = names
    return first in moved and all(name in moved or name in weights for name in rest)


def _weights(model: ModelProto) -> set[str]:
    return {"", *(tensor.name for tensor in model.graph.initializer)}


def _type(entry: ValueInfoProto) -> int:
    return int(entry.type.tensor_type.elem_type)


def element_types(model: ModelProto) -> dict[str, int]:
    """Return the element type of each tensor of a model with inferred types."""
    graph = model.graph
    types = {entry.name: _type(entry) for entry in (*graph.value_info, *graph.input, *graph.output)}
    return types | {tensor.name: int(tensor.data_type) for tensor in graph.initializer}


def weights(model: ModelProto) -> dict[str, NDArray[Any]]:
    """Return the weights and other constants of a model by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
