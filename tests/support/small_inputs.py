"""Small engine files that take more than latents or images, and what they compute in float64.

Classes, styles with noise in the layers, attributes and noise of translators. As in
`small_engines`, each function writes files of random weights and returns their NumPy evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from onnx import TensorProto

from export.manifest import NOISE
from oracles.noise import normals
from small_engines import Floats, Graph, Levels, manifest, node, sigmoid, taken

SHAPE = (6, 5, 1)
PIXELS = 30
WIDTH = 4
CLASSES = ["hat", "coat", "scarf"]
STYLE = 3
LAYERS = ({"stream": 1, "width": 7}, {"stream": 2, "width": PIXELS})
KEY: dict[str, tuple[int, Sequence[Any]]] = {
    "seed": (TensorProto.INT64, [1]),
    "first": (TensorProto.INT64, [1]),
}


def close(got: Any, wanted: Any) -> bool:
    """Return True if levels are equal, except for rounding."""
    difference = np.abs(got.astype(int) - wanted)
    return bool(difference.max() <= 1 and difference.mean() < 0.01)


def levels(x: Floats, shape: Sequence[int] = SHAPE) -> Levels:
    return np.rint(255 * sigmoid(x)).astype(np.uint8).reshape(-1, *shape)


def finish(graph: Graph, y: str, shape: Sequence[int] = SHAPE) -> None:
    """Log odds [n, pixels] to the output `image`."""
    graph.add("Sigmoid", [y], "unit")
    square = graph.constant("shape", np.array([-1, *shape], np.int64))
    graph.add("Reshape", ["unit", square], "square")
    graph.levels_of("square", "image", [0, 1, 2, 3])


def draw(graph: Graph, rows_of: str, layer: dict[str, int]) -> str:
    """N(0, 1) [n, width] of a stream, for as many rows as that input has."""
    stream, width = layer["stream"], layer["width"]
    graph.add("Shape", [rows_of], f"rows{stream}", start=0, end=1)
    size = graph.constant(f"width{stream}", np.array([width], np.int64))
    graph.add("Concat", [f"rows{stream}", size], f"shape{stream}", axis=0)
    graph.add("ConstantOfShape", [f"shape{stream}"], f"zeros{stream}")
    operands = [f"zeros{stream}", f"zeros{stream}", "seed", "first"]
    return graph.add(
        "ReparametrizedSample", operands, f"noise.{stream}", domain="zoo", stream=stream
    )


def conditional(path: Path, **fields: Any) -> Callable[[Floats, ArrayLike], Levels]:
    """A dense layer of the latent, and one bias for each class: latent, label → image."""
    graph = Graph(7)
    latents = {"mu": (TensorProto.FLOAT, ["n", WIDTH]), "logvar": (TensorProto.FLOAT, ["n", WIDTH])}
    graph.add("ReparametrizedSample", [*latents, *KEY], "latent", domain="zoo", stream=0)
    y, weight, bias = graph.dense("latent", WIDTH, PIXELS, "dense")
    table = 3 * graph.random_constant("table", len(CLASSES), PIXELS)
    graph.add("Gather", ["table", "label"], "of_class", axis=0)
    graph.add("Mul", ["of_class", graph.constant("three", np.float32(3))], "moved")
    finish(graph, graph.add("Add", [y, "moved"], "sum"))
    document = manifest(
        "generator",
        SHAPE,
        schema=2,
        latent={"width": WIDTH, "prior": "normal"},
        noise=NOISE | {"streams": {"latent": 0}},
        condition={"kind": "classes", "count": len(CLASSES)},
        classes=CLASSES,
    )
    inputs = latents | KEY | {"label": (TensorProto.INT64, ["n"])}
    outputs = {"image": (TensorProto.UINT8, ["n", *SHAPE])}
    graph.save(path, document | fields, inputs, outputs, "zoo")

    def evaluate(latents: Floats, labels: ArrayLike) -> Levels:
        return levels(latents @ weight.T + bias + table[np.asarray(labels)])

    return evaluate


@dataclass(frozen=True)
class Style:
    """Weights and formulas of the engine files of a style-based generator."""

    mapping: tuple[Floats, Floats]
    mean: Floats
    layers: list[tuple[Floats, Floats]]
    spread: Floats

    def styles(self, latents: Floats, truncation: float = 1.0) -> Floats:
        """w [n, W] of latents [n, D], truncated."""
        weight, bias = self.mapping
        return self.mean + truncation * (np.tanh(latents @ weight.T + bias) - self.mean)

    def synthesis(
        self, styles: Floats, seed: int = 0, first: int = 0, scale: float = 0.0
    ) -> Levels:
        """Images of styles [n, layers, W]; the noise of the layers is multiplied by `scale`."""
        total = np.zeros((len(styles), PIXELS))
        for index, (weight, bias) in enumerate(self.layers):
            stream, width = LAYERS[index]["stream"], LAYERS[index]["width"]
            drawn = normals(seed, first, len(styles), width, stream)
            drawn = drawn @ self.spread if width != PIXELS else drawn
            total += styles[:, index] @ weight.T + bias + scale * drawn
        return levels(total)

    def sample(
        self, n: int, seed: int, first: int, truncation: float = 1.0, scale: float = 1.0
    ) -> Levels:
        """Images first … first + n - 1."""
        latents = normals(seed, first, n, WIDTH)
        styles = self.styles(latents, truncation)
        return self.synthesis(np.stack([styles] * 2, 1), seed, first, scale)


def style(folder: Path, stem: str) -> Style:
    """`stem.onnx`, `stem.mapping.onnx` and `stem.synthesis.onnx`: two layers, noise in both."""
    main, mapping, synthesis = (Graph(8) for _ in range(3))
    latent = (TensorProto.FLOAT, ["n", WIDTH])
    for graph, latents in ((main, "h"), (mapping, "latent")):
        if graph is main:
            graph.add("ReparametrizedSample", ["mu", "logvar", *KEY], "h", domain="zoo", stream=0)
        w, *of_mapping = graph.dense(latents, WIDTH, STYLE, "mapping")
        graph.add("Tanh", [w], "styles")
    mean = np.array([0.25, -0.5, 0.125])
    main.constant("mean", mean.astype(np.float32))
    main.add("Sub", ["styles", "mean"], "away")
    main.add("Mul", ["away", "truncation"], "closer")
    main.add("Add", ["mean", "closer"], "w")
    parts = synthesis.constant("parts", np.array([STYLE, STYLE], np.int64))
    synthesis.nodes.append(node("Split", f"latent {parts}", "w0 w1", axis=1))
    synthesis.random = np.random.default_rng(9)
    main.random = np.random.default_rng(9)
    for graph, styles in ((main, ["w", "w"]), (synthesis, ["w0", "w1"])):
        layers, total = [], ""
        spread = graph.random_constant("spread", LAYERS[0]["width"], PIXELS)
        for index, layer in enumerate(LAYERS):
            y, *of_layer = graph.dense(styles[index], STYLE, PIXELS, f"layer{index}")
            layers.append(tuple(of_layer))
            drawn = draw(graph, "mu" if graph is main else "latent", layer)
            if layer["width"] != PIXELS:
                drawn = graph.add("MatMul", [drawn, "spread"], f"spread{index}")
            scaled = graph.add("Mul", [drawn, "noise"], f"scaled{index}")
            y = graph.add("Add", [y, scaled], f"noisy{index}")
            total = graph.add("Add", [total, y], f"sum{index}") if total else y
        finish(graph, total)
    scale = {"noise": (TensorProto.FLOAT, [1])}
    image = {"image": (TensorProto.UINT8, ["n", *SHAPE])}
    truncation = {"mean": mean.tolist(), "layers": len(LAYERS), "width": STYLE}
    streams = NOISE | {"streams": {"latent": 0, "layers": list(LAYERS)}}
    layers_only = NOISE | {"streams": {"layers": list(LAYERS)}}

    def document(role: str, width: int, prior: str, **fields: Any) -> dict[str, Any]:
        return manifest(role, SHAPE, schema=2, latent={"width": width, "prior": prior}, **fields)

    main.save(
        folder / f"{stem}.onnx",
        document("generator", WIDTH, "normal", noise=streams, truncation=truncation),
        {"mu": latent, "logvar": latent} | KEY | {"truncation": (TensorProto.FLOAT, [1])} | scale,
        image,
        "zoo",
    )
    mapping.save(
        folder / f"{stem}.mapping.onnx",
        document("mapping", WIDTH, "normal", truncation=truncation),
        {"latent": latent},
        {"styles": (TensorProto.FLOAT, ["n", STYLE])},
    )
    wide = STYLE * len(LAYERS)
    synthesis.save(
        folder / f"{stem}.synthesis.onnx",
        document("synthesis", wide, "none", noise=layers_only),
        {"latent": (TensorProto.FLOAT, ["n", wide])} | KEY | scale,
        image,
        "zoo",
    )
    return Style(tuple(of_mapping), mean, layers, spread)


def translator(
    path: Path, attributes: Sequence[str] = (), widths: Sequence[int] = ()
) -> Callable[..., Levels]:
    """Grey images, brightened by attributes [n, K] and by noise of the streams 1, 2, …"""
    graph = Graph(11)
    graph.add("Flatten", [graph.floats_of("input")], "y0")
    inputs: dict[str, tuple[int, Sequence[Any]]] = {"input": (TensorProto.UINT8, ["n", *SHAPE])}
    fields: dict[str, Any] = {}
    y, weight, bias = "y0", np.zeros((PIXELS, 0)), np.zeros(PIXELS)
    if attributes:
        inputs["attributes"] = (TensorProto.FLOAT, ["n", len(attributes)])
        fields["condition"] = {"kind": "attributes", "names": list(attributes)}
        of_attributes, weight, bias = graph.dense("attributes", len(attributes), PIXELS, "wanted")
        y = graph.add("Add", [y, of_attributes], "y1")
    spreads = []
    for stream, width in enumerate(widths, 1):
        drawn = draw(graph, "input", {"stream": stream, "width": width})
        zero = graph.constant(f"zero{stream}", np.float32(0))
        graph.add("Greater", [drawn, zero], f"kept{stream}")
        graph.add("Cast", [f"kept{stream}"], f"mask{stream}", to=TensorProto.FLOAT)
        spreads.append(graph.random_constant(f"spread{stream}", width, PIXELS))
        part = graph.add("MatMul", [f"mask{stream}", f"spread{stream}"], f"part{stream}")
        y = graph.add("Add", [y, part], f"noisy{stream}")
    if widths:
        inputs |= KEY
        layers = [{"stream": stream, "width": width} for stream, width in enumerate(widths, 1)]
        fields["noise"] = NOISE | {"streams": {"layers": layers}}
    finish(graph, y)
    fields |= {"schema": 2 if fields else 1, "input": taken(SHAPE), "task": "domains"}
    document = manifest("translator", SHAPE, **fields)
    outputs = {"image": (TensorProto.UINT8, ["n", *SHAPE])}
    graph.save(path, document, inputs, outputs, *(["zoo"] if widths else []))

    def evaluate(
        images: Levels, values: Floats | None = None, seed: int = 0, first: int = 0
    ) -> Levels:
        total = images.reshape(len(images), -1) / 255 + bias
        if values is not None:
            total = total + np.asarray(values, np.float64) @ weight.T
        for stream, spread in enumerate(spreads, 1):
            drawn = normals(seed, first, len(images), len(spread), stream)
            total = total + (drawn > 0) @ spread
        return levels(total)

    return evaluate


def write_all(folder: Path) -> None:
    """The files that csrc/tests/inputs_test.cc reads."""
    conditional(folder / "conditional.onnx")
    style(folder, "style")
    translator(folder / "attributes.onnx", attributes=["old", "happy"])
    translator(folder / "noisy.onnx", widths=[5, 40])
