"""From a PyTorch graph to a clean ONNX model that carries the operators' portable bodies."""

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
NOISE = "noise."
"""Prefix of the names of layer noise inputs; the stream number follows."""


def build(graph: Any, optimize: bool = True) -> ModelProto:
    """Export a graph, with dynamic batch axes, and attach the bodies of its operators.

    The exporter's default opset is kept: with another it would inline functions.
    The latent that an operator of ours makes is named "latent", the noise of a layer
    "noise.<stream>", the float image before its conversion to uint8, [N, C, H, W],
    "mean". `optimize` leaves the exporter
    its own optimisations, which fold some normalisations too.

    Raises:
        ExportError: the exporter failed or left the operator out.
    """
    example, dynamic = graph.example()
    for module in graph.modules():
        if isinstance(module, torch.nn.ReLU):
            # In place on a view, a ReLU is exported with Reshapes around it.
            module.inplace = False
    enabled = logging.root.manager.disable
    try:
        # What goes wrong is said by the exception.
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
    strip(model)
    attach_functions(model, graph)
    name_tensors(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def without_counters(module: nn.Module) -> nn.Module:
    """A copy whose buffers of one integer, by which training counts, are constants."""
    module = copy.deepcopy(module)
    for part in module.modules():
        for name, value in list(part.named_buffers(recurse=False)):
            if value.ndim == 0 and not value.is_floating_point():
                delattr(part, name)
                setattr(part, name, int(value))
    return module


def left_out(model: ModelProto, graph: Graph) -> dict[str, str]:
    """Weights of the graph that the exporter did not write: name -> the equal one that it did.

    A bias of zeros has no equal one: "".
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


def parameters(model: ModelProto, graph: Graph) -> int:
    """Number of weights of the graph that are in the model, those that it has twice included."""
    there = {tensor.name for tensor in model.graph.initializer} | left_out(model, graph).keys()
    return sum(value.numel() for name, value in graph.named_parameters() if name in there)


def opset(model: ModelProto) -> int:
    """Version of the standard operators that a model uses."""
    return next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def strip(model: ModelProto) -> None:
    """Remove what describes the machine and the source of the export, not the model."""
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
    """Add the portable body of the operator that a model uses.

    Raises:
        ExportError: a node of our domain has no body.
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


def producer(model: ModelProto, value: str) -> NodeProto | None:
    """The node that makes a tensor of the main graph, or None."""
    return next((node for node in model.graph.node if value in node.output), None)


def rename(model: ModelProto, old: str, new: str) -> None:
    """Give a tensor inside the main graph another name; one that has it already gets a new one."""
    if old == new:
        return
    set_free(model, new)
    for node in model.graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new
    for info in model.graph.value_info:
        if info.name == old:
            info.name = new


def set_free(model: ModelProto, name: str) -> None:
    """Give the tensor of that name, if a node of the main graph makes one, another."""
    taken = {output for node in model.graph.node for output in node.output}
    if name in taken:
        rename(model, name, next(n for i in count(1) if (n := f"{name}.{i}") not in taken))


def name_tensors(model: ModelProto) -> None:
    """Name the latent, the noise and the float image, so that a program can ask for them."""
    # The exporter calls the result of any mean so.
    set_free(model, MEAN)
    for node in model.graph.node:
        if node.domain == functions.DOMAIN:
            stream = next((entry.i for entry in node.attribute if entry.name == "stream"), 0)
            rename(model, node.output[0], f"{NOISE}{stream}" if stream else LATENT)
    levels = {
        output.name
        for output in model.graph.output
        if output.type.tensor_type.elem_type == TensorProto.UINT8
    }
    last = producer(model, "image") if "image" in levels else None
    while last is not None and last.op_type != "Transpose":
        last = producer(model, last.input[0])
    if last is not None and producer(model, last.input[0]) is not None:
        rename(model, last.input[0], MEAN)
