"""Ends of graphs (`native_graphs`): the engine file of a role, and what it is to give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

import runtime
from native_graphs import SEED, Network, Value
from oracles import layers
from oracles.layers import Floats, Numbers
from small_engines import manifest

NOISE = {"algorithm": "philox4x32-10", "transform": "box-muller"}


@dataclass(frozen=True)
class Engine:
    """An engine file, how rows of its inputs are given to it, and what it is to give."""

    path: Path
    open: Callable[..., Any]
    call: Callable[[Any, slice], NDArray[Any]]
    low: Floats
    high: Floats
    exact: Floats


def encoder(
    graph: Network, path: Path, x: Value, logvar: Value | None = None, **fields: Any
) -> Engine:
    """mu [N, D] and maybe logvar, which a Split has named already, or that are named here."""
    heads = [renamed(graph, x, "mu")] + ([renamed(graph, logvar, "logvar")] if logvar else [])
    width = x.channels
    latent = {"width": width, "prior": "none"}
    latent["posterior"] = "gaussian" if logvar else "deterministic"
    outputs = {head.name: (TensorProto.FLOAT, ["n", width]) for head in heads}
    write(graph, path, "encoder", shape_of(graph, "image"), outputs, latent=latent, **fields)

    def call(engine: Any, part: slice) -> NDArray[Any]:
        return np.concatenate(engine.encode(graph.data["image"][part])[: len(heads)], axis=1)

    expected = layers.join([head.numbers for head in heads])
    return built(path, runtime.Encoder, call, expected)


def classifier(graph: Network, path: Path, x: Value) -> Engine:
    """Scores [N, K]."""
    x = renamed(graph, x, "scores")
    names = [f"class {i}" for i in range(x.channels)]
    outputs = {"scores": (TensorProto.FLOAT, ["n", x.channels])}
    scores = {"names": names, "kind": "classes"}
    write(graph, path, "classifier", shape_of(graph, "image"), outputs, scores=scores)
    return built(
        path, runtime.Classifier, lambda e, part: e.classify(graph.data["image"][part]), x.numbers
    )


def translator(graph: Network, path: Path, x: Value, **fields: Any) -> Engine:
    """Bytes [N, H, W, C] of numbers [N, C, H, W] from 0 to 1."""
    shape = as_levels(graph, x)
    height, width, channels = shape_of(graph, "input")
    taken: dict[str, Any] = {"height": height, "width": width, "channels": channels}
    taken |= {"dtype": "uint8", "layout": "NHWC", "alpha": False}
    attributes = graph.data.get("attributes")
    if attributes is not None:
        names = [f"attribute {i}" for i in range(attributes.shape[1])]
        fields["condition"] = {"kind": "attributes", "names": names}
    outputs = {"image": (TensorProto.UINT8, ["n", *shape])}
    write(graph, path, "translator", shape, outputs, input=taken, **fields)

    def call(engine: Any, part: slice) -> NDArray[Any]:
        wanted = None if attributes is None else attributes[part]
        images = graph.data["input"][part]
        return engine.translate(images, attributes=wanted, seed=SEED, first=part.start)

    return built(path, runtime.Translator, call, x.numbers, levels=True)


def generator(graph: Network, path: Path, x: Value, levels: bool = True, **fields: Any) -> Engine:
    """Images of numbers [N, C, H, W]: bytes [N, H, W, C], or the numbers themselves."""
    role = "synthesis" if "latent" in graph.data else "generator"
    name = "latent" if role == "synthesis" else "mu"
    shape = as_levels(graph, x) if levels else (*x.sides, x.channels)
    if levels:
        outputs = {"image": (TensorProto.UINT8, ["n", *shape])}
    else:
        renamed(graph, x, "image")
        outputs = {"image": (TensorProto.FLOAT, ["n", x.channels, *x.sides])}
    latent = {"width": graph.data[name].shape[1], "prior": "none"}
    labels = graph.data.get("label")
    call_options: dict[str, Any] = fields.pop("options", {})
    write(graph, path, role, shape, outputs, levels, latent=latent, **fields)

    def call(engine: Any, part: slice) -> NDArray[Any]:
        options = call_options | ({} if labels is None else {"labels": labels[part]})
        return engine.decode(graph.data[name][part], seed=SEED, first=part.start, **options)

    return built(path, runtime.Generator, call, x.numbers, levels)


def mapping(graph: Network, path: Path, x: Value) -> Engine:
    """Styles [N, W]."""
    x = renamed(graph, x, "styles")
    outputs = {"styles": (TensorProto.FLOAT, ["n", x.channels])}
    fields = {
        "schema": 2,
        "latent": {"width": graph.data["latent"].shape[1], "prior": "normal"},
        "truncation": {"mean": [0.0] * x.channels, "layers": 1, "width": x.channels},
    }
    write(graph, path, "mapping", (8, 8, 1), outputs, **fields)
    return built(
        path, runtime.Mapping, lambda e, part: e.map(graph.data["latent"][part]), x.numbers
    )


def renamed(graph: Network, x: Value, name: str) -> Value:
    """The value under the name of an output: what made it makes that."""
    if x.name == name:
        return x
    for node in graph.nodes:
        for names in (node.output, node.input):
            for i, each in enumerate(names):
                if each == x.name:
                    names[i] = name
    return Value(name, x.numbers)


def shape_of(graph: Network, name: str) -> tuple[int, ...]:
    return graph.data[name].shape[1:]


def as_levels(graph: Network, x: Value) -> tuple[int, ...]:
    """⌊255 x + ½⌋, as our exporter writes it."""
    turned = graph.add("Transpose", [x.name], "turned", perm=[0, 2, 3, 1])
    scaled = graph.add("Mul", [turned, graph.number(255.0)], "scaled")
    moved = graph.add("Add", [scaled, graph.number(0.5)], "moved")
    whole = graph.add("Floor", [moved], "whole")
    graph.add("Cast", [whole], "image", to=TensorProto.UINT8)
    return (*x.sides, x.channels)


def write(
    graph: Network,
    path: Path,
    role: str,
    shape: Sequence[int],
    outputs: Any,
    levels: bool = True,
    **fields: Any,
) -> None:
    document = manifest(role, shape, **fields)
    if not levels:
        document["image"] |= {"dtype": "float32", "layout": "NCHW", "range": [-1, 1]}
    streams: dict[str, Any] = {"latent": 0} if role == "generator" else {}
    if graph.noise:
        streams["layers"] = [{"stream": s, "width": w} for s, w in graph.noise.items()]
    if streams:
        document["noise"] = NOISE | {"streams": streams}
    if graph.noise or "condition" in fields or "truncation" in fields:
        document["schema"] = 2
    domains = {node.domain for node in graph.nodes} - {""}
    graph.save(path, document, graph.inputs, outputs, *domains)


def built(path: Path, kind: Any, call: Any, numbers: Numbers, levels: bool = False) -> Engine:
    if not levels:
        low, high = numbers.exact - numbers.error, numbers.exact + numbers.error
        return Engine(path, kind, call, low, high, numbers.exact)
    low, high = (value.transpose(0, 2, 3, 1) for value in layers.levels(numbers))
    exact = 255 * numbers.exact.transpose(0, 2, 3, 1)
    return Engine(path, kind, call, low, high, exact)
