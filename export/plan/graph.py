"""The graph of an engine file as TensorRT takes it: passes over ONNX, checked on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from export.errors import ExportError
from export.functions import DOMAIN

LATENT_STREAM = 0

# What gives the levels of its input, moved: the same for bytes and for floats.
MOVES = frozenset(
    "Concat Expand Flatten Gather Identity Reshape Slice Split Squeeze Tile Transpose "
    "Unsqueeze".split()
)


def prepare(model: ModelProto, manifest: dict[str, Any]) -> ModelProto:
    """A copy of an engine's model that TensorRT parses; its weights are float32.

    What the noise operators give becomes an input, under the name that it has: `latent`, and
    `noise.<stream>` for the layers' noise, float32 [N, width]; `mu`, `logvar`, `seed` and `first`,
    which only they read, go. All else keeps its name and type.

    Raises:
        ExportError: an operator of ours that no plan has, or bytes that are computed with.
    """
    made = ModelProto()
    made.CopyFrom(model)
    noise_to_inputs(made, manifest)
    constants_to_weights(made)
    fold_casts(made)
    remove_unused(made)
    bytes_to_floats(made)
    del made.graph.value_info[:]
    del made.metadata_props[:]
    return onnx.shape_inference.infer_shapes(made, check_type=True, strict_mode=True)


def noise_to_inputs(model: ModelProto, manifest: dict[str, Any]) -> None:
    """Put an input of the network in the place of each noise operator, and drop the bodies.

    TensorRT takes no bytes of ours into a plan without a plugin; the runtime's own kernel fills
    these inputs.
    """
    widths, rows = _noise_widths(manifest), _rows(model)
    for node in [node for node in model.graph.node if node.domain == DOMAIN]:
        if node.op_type != "ReparametrizedSample":
            raise ExportError(f"the operator {DOMAIN}::{node.op_type} has no place in a plan")
        stream = next((entry.i for entry in node.attribute if entry.name == "stream"), 0)
        if stream not in widths:
            raise ExportError(f"the manifest tells no width of the noise stream {stream}")
        name = "latent" if stream == LATENT_STREAM else f"noise.{stream}"
        _rename(model, node.output[0], name)
        model.graph.node.remove(node)
        shape = [rows, widths[stream]]
        model.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    del model.functions[:]
    for entry in [entry for entry in model.opset_import if entry.domain == DOMAIN]:
        model.opset_import.remove(entry)


def _noise_widths(manifest: dict[str, Any]) -> dict[int, int]:
    streams = manifest.get("noise", {}).get("streams", {})
    widths = {int(layer["stream"]): int(layer["width"]) for layer in streams.get("layers", [])}
    if "latent" in streams:
        widths[int(streams["latent"])] = int(manifest["latent"]["width"])
    return widths


def _rows(model: ModelProto) -> str:
    """The name of the batch axis; TensorRT takes two names for two axes."""
    shapes = [entry.type.tensor_type.shape.dim for entry in model.graph.input]
    return next((shape[0].dim_param for shape in shapes if shape and shape[0].dim_param), "N")


def _rename(model: ModelProto, old: str, new: str) -> None:
    if old == new:
        return
    taken = {entry.name for entry in (*model.graph.input, *model.graph.initializer)}
    if new in taken | {output for node in model.graph.node for output in node.output}:
        raise ExportError(f"the tensor {new} is another one than the noise operator gives")
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]


def constants_to_weights(model: ModelProto) -> None:
    """Make the tensors of Constant nodes weights, so that passes see one kind of constant."""
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
    """Store as float32 the weights that stand in half precision before a Cast."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in list(model.graph.node):
        if (
            node.op_type != "Cast"
            or node.input[0] not in weights
            or _cast_to(node) != TensorProto.FLOAT
        ):
            continue
        values = numpy_helper.to_array(weights[node.input[0]]).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
        model.graph.node.remove(node)


def bytes_to_floats(model: ModelProto) -> None:
    """Cast each uint8 input first: TensorRT has bytes only at the ends of a network.

    Levels are moved about as floats, which hold them exactly, until the Cast that was there.
    """
    graph = model.graph
    for given in [entry for entry in graph.input if _type(entry) == TensorProto.UINT8]:
        floats = f"{given.name}.float"
        moved = {given.name: floats}
        for node in list(graph.node):
            if not moved.keys() & set(node.input):
                continue
            if node.op_type == "Cast":
                _replace_cast(graph, node, moved[node.input[0]])
                continue
            if node.op_type == "Shape":
                node.input[0] = moved[node.input[0]]
                continue
            if node.op_type not in MOVES or not _only(node.input, moved, _weights(model)):
                raise ExportError(
                    f"the node {node.name} ({node.op_type}) computes with the bytes of "
                    f"{given.name}; TensorRT has floats only"
                )
            node.input[:] = [moved.get(name, name) for name in node.input]
            moved |= {name: f"{name}.float" for name in node.output}
            node.output[:] = [moved[name] for name in node.output]
        cast = helper.make_node(
            "Cast", [given.name], [floats], name=f"cast.{given.name}", to=TensorProto.FLOAT
        )
        graph.node.insert(0, cast)


def _replace_cast(graph: Any, node: NodeProto, floats: str) -> None:
    """A Cast to float32 of what is float32 now goes; another one takes that."""
    node.input[0] = floats
    if _cast_to(node) == TensorProto.FLOAT:
        for other in graph.node:
            other.input[:] = [floats if name == node.output[0] else name for name in other.input]
        graph.node.remove(node)


def _only(names: Iterable[str], moved: dict[str, str], weights: set[str]) -> bool:
    """The first input is moved; so are the others, or they are weights (indices, shapes)."""
    first, *rest = names
    return first in moved and all(name in moved or name in weights for name in rest)


def _weights(model: ModelProto) -> set[str]:
    return {"", *(tensor.name for tensor in model.graph.initializer)}


def remove_unused(model: ModelProto) -> None:
    """Drop the nodes, weights and inputs that no output depends on."""
    graph = model.graph
    wanted = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    _keep(graph.node, lambda node: any(node is other for other in kept))
    _keep(graph.initializer, lambda tensor: tensor.name in wanted)
    _keep(graph.input, lambda entry: entry.name in wanted)


def _keep(entries: Any, wanted: Callable[[Any], bool]) -> None:
    for entry in [entry for entry in entries if not wanted(entry)]:
        entries.remove(entry)


def _cast_to(node: NodeProto) -> int:
    return next(int(entry.i) for entry in node.attribute if entry.name == "to")


def _type(entry: ValueInfoProto) -> int:
    return int(entry.type.tensor_type.elem_type)


def element_types(model: ModelProto) -> dict[str, int]:
    """Element type of each tensor of a model whose types were inferred."""
    graph = model.graph
    known = {entry.name: _type(entry) for entry in (*graph.value_info, *graph.input, *graph.output)}
    return known | {tensor.name: int(tensor.data_type) for tensor in graph.initializer}


def weights(model: ModelProto) -> dict[str, NDArray[Any]]:
    """The weights and other constants of a model, by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
