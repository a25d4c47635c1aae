"""Export of PyTorch graphs to ONNX models with the portable bodies of the operators."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from itertools import count
from typing import Any

import onnx
import torch
from onnx import ModelProto, NodeProto, TensorProto
from torch import nn

from export import functions
from export.errors import ExportError
from export.modules import Graph

MEAN = "mean"
LATENT = "latent"
DECODED = "latent.decoded"
"""The latent, or its transform to the learned prior, of a generator that has one."""

NOISE = "noise."
"""Prefix of the tensors of layer noise; the stream number follows."""


def build(graph: Any, optimize: bool = True) -> ModelProto:
    """Export a graph with dynamic batch axes, and attach the bodies of its operators.

    The exporter's default opset is kept: with another one it would inline functions. The latent is
    named "latent", the noise of a layer "noise.<stream>", and the float image [N, C, H, W] before
    its conversion to uint8 "mean". `optimize` enables the optimisations of the exporter, which also
    fold some normalisations.

    Raises:
        ExportError: the exporter failed, or an operator has no portable body.
    """
    example, dynamic = graph.example()
    for module in graph.modules():
        if isinstance(module, torch.nn.ReLU):
            # An in-place ReLU on a view is exported with Reshapes around it.
            module.inplace = False
    enabled = logging.root.manager.disable
    try:
        # The exception says what went wrong.
        logging.disable(logging.CRITICAL)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                graph.eval(),
                example,
                dynamo=True,
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamic_shapes=dynamic,
                verbose=False,
                optimize=optimize,
            )
    except Exception as error:
        raise ExportError(f"the ONNX exporter of PyTorch failed: {error}") from error
    finally:
        logging.disable(enabled)
    if program is None:
        raise ExportError("the ONNX exporter of PyTorch returned no program")
    model = program.model_proto
    strip_metadata(model)
    attach_functions(model, graph)
    free_keys(model)
    name_tensors(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def freeze_counters(module: nn.Module) -> nn.Module:
    """Return a copy whose scalar integer buffers (counters of training) are constants."""
    module = copy.deepcopy(module)
    for part in module.modules():
        for name, value in list(part.named_buffers(recurse=False)):
            if value.ndim == 0 and not value.is_floating_point():
                delattr(part, name)
                setattr(part, name, int(value))
    return module


def find_omitted_weights(model: ModelProto, graph: Graph) -> dict[str, str]:
    """Map weights that the exporter did not write to the equal ones that it did.

    A bias of zeros without an equal weight maps to "".
    """
    written = {tensor.name for tensor in model.graph.initializer}
    weights = dict(graph.named_parameters()) | dict(graph.named_buffers())
    equals = {}
    for name, value in weights.items():
        if name in written:
            continue
        for other in sorted(written & weights.keys()):
            if weights[other].shape == value.shape and torch.equal(weights[other], value):
                equals[name] = other
                break
        else:
            if not value.any():
                equals[name] = ""
    return equals


def count_parameters(model: ModelProto, graph: Graph) -> int:
    """Count the parameters of the graph in the model, shared ones as often as they are used."""
    written = {tensor.name for tensor in model.graph.initializer}
    names = written | find_omitted_weights(model, graph).keys()
    return sum(value.numel() for name, value in graph.named_parameters() if name in names)


def opset(model: ModelProto) -> int:
    """Return the version of the standard operators in a model."""
    return next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def strip_metadata(model: ModelProto) -> None:
    """Remove descriptions of the machine and the source code of the export."""
    model.doc_string = model.graph.doc_string = ""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    for function in model.functions:
        del function.metadata_props[:]
    entries = (
        *model.graph.node,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
        *model.graph.initializer,
        *(node for function in model.functions for node in function.node),
    )
    for entry in entries:
        entry.doc_string = ""
        del entry.metadata_props[:]


def attach_functions(model: ModelProto, graph: Any) -> None:
    """Add the portable bodies of the operators in a model.

    Raises:
        ExportError: a node of the domain `zoo` has no body.
    """
    used = {node.op_type for node in model.graph.node if node.domain == functions.DOMAIN}
    version = opset(model)
    for name in sorted(used):
        if name == "ReparametrizedSample":
            model.functions.append(functions.reparametrized_sample(version))
        elif name == "BatchedInterpolate":
            model.functions.append(functions.batched_interpolate(graph.mode, version))
        else:
            raise ExportError(f"no portable body for the operator {functions.DOMAIN}::{name}")
    known = {entry.domain for entry in model.opset_import}
    if used and functions.DOMAIN not in known:
        model.opset_import.append(onnx.helper.make_opsetid(functions.DOMAIN, functions.VERSION))


def free_keys(model: ModelProto) -> None:
    """Let seed and first have an element for each row: their length is K, 1 or N."""
    for value in model.graph.input:
        if value.name in ("seed", "first"):
            value.type.tensor_type.shape.dim[0].dim_param = "K"


def read_attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """Return the value of a node's attribute, or a default."""
    return next(
        (onnx.helper.get_attribute_value(a) for a in node.attribute if a.name == name), default
    )


def remove_unused(model: ModelProto) -> None:
    """Remove nodes, weights and inputs that no output depends on."""
    graph = model.graph
    needed = {output.name for output in graph.output}
    for node in reversed(list(graph.node)):
        if needed & set(node.output):
            needed |= set(node.input)
        else:
            graph.node.remove(node)
    for entries in (graph.initializer, graph.input):
        for entry in [entry for entry in entries if entry.name not in needed]:
            entries.remove(entry)


def remove_learned_prior(model: ModelProto) -> None:
    """Remove the transform of the latent to the learned prior, which the runtime computes."""
    if node := find_producer(model, DECODED):
        model.graph.node.remove(node)
        for other in model.graph.node:
            for index, name in enumerate(other.input):
                if name == DECODED:
                    other.input[index] = LATENT
        remove_unused(model)


def remove_domain(model: ModelProto) -> None:
    """Remove the bodies of our operators, which the model no longer uses, and their domain."""
    del model.functions[:]
    for entry in [entry for entry in model.opset_import if entry.domain == functions.DOMAIN]:
        model.opset_import.remove(entry)


def find_producer(model: ModelProto, value: str) -> NodeProto | None:
    """Return the node that computes a tensor of the main graph, or None."""
    return next((node for node in model.graph.node if value in node.output), None)


def rename(model: ModelProto, old: str, new: str) -> None:
    """Rename a tensor inside the main graph; another one with the new name gets a free one."""
    if old == new:
        return
    free_name(model, new)
    for node in model.graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new
    for info in model.graph.value_info:
        if info.name == old:
            info.name = new


def free_name(model: ModelProto, name: str) -> None:
    """Rename the tensor of that name, if a node of the main graph computes one."""
    used = {output for node in model.graph.node for output in node.output}
    if name in used:
        rename(model, name, next(n for i in count(1) if (n := f"{name}.{i}") not in used))


def name_tensors(model: ModelProto) -> None:
    """Name the latent, the noise and the float image, so that programs can find them."""
    # The exporter names the result of any mean like the float image.
    free_name(model, MEAN)
    for node in model.graph.node:
        if node.domain == functions.DOMAIN:
            stream = read_attribute(node, "stream", 0)
            rename(model, node.output[0], f"{NOISE}{stream}" if stream else LATENT)
        elif node.op_type == "Where" and LATENT in node.input:
            rename(model, node.output[0], DECODED)
    levels = {
        output.name
        for output in model.graph.output
        if output.type.tensor_type.elem_type == TensorProto.UINT8
    }
    last = find_producer(model, "image") if "image" in levels else None
    while last is not None and last.op_type != "Transpose":
        last = find_producer(model, last.input[0])
    if last is not None and find_producer(model, last.input[0]) is not None:
        rename(model, last.input[0], MEAN)
