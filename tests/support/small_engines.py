"""Small engine files, written by hand with random weights, and what they compute in float64.

Every function writes one file and returns its NumPy evaluation; `write_all` writes
the set that the C++ tests read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from export.manifest import KEY, NOISE

Floats = NDArray[np.float64]
Levels = NDArray[np.uint8]
SHAPE = (28, 28, 1)
WIDTH = 6


def manifest(role: str, shape: Sequence[int], **fields: Any) -> dict[str, Any]:
    """A valid manifest but for what the role needs of its own, which `fields` adds."""
    height, width, channels = shape
    return {
        "schema": 1,
        "model": "small",
        "role": role,
        "image": {
            "height": height,
            "width": width,
            "channels": channels,
            "dtype": "uint8",
            "layout": "NHWC",
            "range": [0, 255],
        },
        "precision": "fp32",
        "batch": {"min": 1, "max": 4096},
        "versions": {"zoo": "0"},
    } | fields


def taken(shape: Sequence[int], alpha: bool = False) -> dict[str, Any]:
    """The manifest's `input` of a translator that takes images of this shape."""
    sides = dict(zip(("height", "width", "channels"), shape, strict=True))
    return sides | {"dtype": "uint8", "layout": "NHWC", "alpha": alpha}


def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> NodeProto:
    """A node whose inputs and outputs are names with spaces between."""
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


class Graph:
    """A graph under construction: nodes are added in order, weights are random."""

    def __init__(self, seed: int = 0, nodes: Sequence[NodeProto] = ()) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes = list(nodes)
        self.weights: list[Any] = []

    def add(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def constant(self, name: str, value: Any) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def constants(self, **values: Any) -> None:
        """Add those of the constants that nodes use."""
        for name, value in values.items():
            if any(name in node.input for node in self.nodes):
                self.constant(name, value)

    def random_constant(self, name: str, *shape: int) -> Floats:
        fan_in = int(np.prod(shape[1:])) or 1
        value = (self.random.normal(size=shape) / np.sqrt(fan_in)).astype(np.float32)
        self.constant(name, value)
        return value.astype(np.float64)

    def save(
        self, path: Path, document: dict[str, Any] | None, inputs: Any, outputs: Any, *domains: str
    ) -> None:
        def info(names: dict[str, tuple[int, Sequence[Any]]]) -> list[Any]:
            return [helper.make_tensor_value_info(name, *value) for name, value in names.items()]

        graph = helper.make_graph(self.nodes, "small", info(inputs), info(outputs), self.weights)
        opsets = [helper.make_opsetid("", 20), *(helper.make_opsetid(d, 1) for d in domains)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        if document is not None:
            entry = model.metadata_props.add()
            entry.key, entry.value = KEY, json.dumps(document)
        onnx.save(model, path)

    def floats_of(self, image: str) -> str:
        """[0, 1] floats of uint8 levels."""
        self.add("Cast", [image], "levels", to=TensorProto.FLOAT)
        return self.add("Div", ["levels", self.constant("most", np.float32(255))], "floats")

    def dense(self, x: str, inputs: int, outputs: int, name: str) -> tuple[str, Floats, Floats]:
        weight = self.random_constant(f"{name}.weight", outputs, inputs)
        bias = self.random_constant(f"{name}.bias", outputs)
        parts = [x, f"{name}.weight", f"{name}.bias"]
        return self.add("Gemm", parts, name, transB=1), weight, bias

    def levels_of(self, x: str, output: str, perm: Sequence[int]) -> str:
        """uint8 levels of [0, 1] floats; the name of the constant 255 is shared."""
        self.add("Mul", [x, self.constant("white", np.float32(255))], "scaled")
        self.add("Round", ["scaled"], "rounded")
        self.add("Transpose", ["rounded"], "turned", perm=perm)
        return self.add("Cast", ["turned"], output, to=TensorProto.UINT8)


def sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))


def encoder(
    path: Path, deterministic: bool = True, shape: Sequence[int] = SHAPE, **latent: Any
) -> Callable[[Levels], tuple[Floats, Floats]]:
    """Dense layers with a ReLU between: image → (mu, logvar); logvar is -inf if deterministic."""
    graph = Graph(1)
    values = int(np.prod(shape))
    x = graph.add("Flatten", [graph.floats_of("image")], "flat")
    hidden, w1, b1 = graph.dense(x, values, 20, "hidden")
    graph.add("Relu", [hidden], "active")
    heads = {}
    for name in ("mu",) if deterministic else ("mu", "logvar"):
        _, *heads[name] = graph.dense("active", 20, WIDTH, name)
    posterior = "deterministic" if deterministic else "gaussian"
    latent = {"width": WIDTH, "prior": "none", "posterior": posterior} | latent
    graph.save(
        path,
        manifest("encoder", shape, latent=latent),
        {"image": (TensorProto.UINT8, ["n", *shape])},
        # An output more than the role has: it must not disturb.
        {name: (TensorProto.FLOAT, ["n", WIDTH]) for name in heads}
        | {"active": (TensorProto.FLOAT, ["n", 20])},
    )

    def evaluate(images: Levels) -> tuple[Floats, Floats]:
        active = np.maximum(images.reshape(len(images), -1) / 255 @ w1.T + b1, 0)
        answers = [active @ weight.T + bias for weight, bias in heads.values()]
        mu, logvar = answers if len(answers) == 2 else (answers[0], np.full((1, 1), -np.inf))
        return mu, np.broadcast_to(logvar, mu.shape)

    return evaluate


def translator(
    path: Path,
    channels: int = 4,
    colours: int = 3,
    alpha: bool = True,
    size: tuple[int, int] = (9, 12),
    **fields: Any,
) -> Callable[[Levels], Levels]:
    """Two convolutions, the second after a ReLU and before a sigmoid: levels to levels."""
    graph = Graph(2)
    graph.add("Transpose", [graph.floats_of("input")], "planes", perm=[0, 3, 1, 2])
    w1 = graph.random_constant("w1", 8, channels, 3, 3)
    b1 = graph.random_constant("b1", 8)
    w2 = graph.random_constant("w2", colours, 8, 3, 3)
    graph.add("Conv", ["planes", "w1", "b1"], "first", pads=[1, 1, 1, 1])
    graph.add("Relu", ["first"], "active")
    graph.add("Conv", ["active", "w2"], "second", pads=[1, 1, 1, 1])
    graph.add("Sigmoid", ["second"], "unit")
    graph.levels_of("unit", "image", [0, 2, 3, 1])
    height, width = size
    given = taken((*size, channels), alpha)
    document = manifest("translator", (*size, colours), input=given, task="inpainting")
    graph.save(
        path,
        document | fields,
        {"input": (TensorProto.UINT8, ["n", *size, channels])},
        {"image": (TensorProto.UINT8, ["n", *size, colours])},
    )

    def convolve(x: Floats, weight: Floats) -> Floats:
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        return sum(
            padded[:, i : i + height, j : j + width] @ weight[:, :, i, j].T
            for i in range(3)
            for j in range(3)
        )

    def evaluate(images: Levels) -> Levels:
        active = np.maximum(convolve(images / 255, w1) + b1, 0)
        return np.rint(255 * sigmoid(convolve(active, w2))).astype(np.uint8)

    return evaluate


def classifier(
    path: Path, kind: str = "classes", shape: Sequence[int] = SHAPE
) -> Callable[[Levels], Floats]:
    """One dense layer: image → probabilities of four names."""
    graph = Graph(3)
    x = graph.add("Flatten", [graph.floats_of("image")], "flat")
    logits, weight, bias = graph.dense(x, int(np.prod(shape)), 4, "logits")
    graph.add("Softmax" if kind == "classes" else "Sigmoid", [logits], "scores")
    names = ["hat", "coat", "scarf", "glove"]
    graph.save(
        path,
        manifest("classifier", shape, scores={"names": names, "kind": kind}, classes=names),
        {"image": (TensorProto.UINT8, ["n", *shape])},
        {"scores": (TensorProto.FLOAT, ["n", 4])},
    )

    def evaluate(images: Levels) -> Floats:
        y = images.reshape(len(images), -1) / 255 @ weight.T + bias
        powers = np.exp(y - y.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True) if kind == "classes" else sigmoid(y)

    return evaluate


def decoder(
    path: Path, noise: bool = True, prior: str = "none", **fields: Any
) -> Callable[[Floats], Levels]:
    """One dense layer and a sigmoid: latent → image; `noise`: with the noise operator before."""
    graph = Graph(4)
    inputs: dict[str, tuple[int, Sequence[Any]]] = {"mu": (TensorProto.FLOAT, ["n", WIDTH])}
    if noise:
        inputs["logvar"] = inputs["mu"]
        inputs |= {"seed": (TensorProto.INT64, [1]), "first": (TensorProto.INT64, [1])}
        graph.add("ReparametrizedSample", list(inputs), "latent", domain="zoo", stream=0)
    y, weight, bias = graph.dense("latent" if noise else "mu", WIDTH, int(np.prod(SHAPE)), "dense")
    graph.add("Sigmoid", [y], "unit")
    shape = graph.constant("shape", np.array([-1, *SHAPE], np.int64))
    graph.add("Reshape", ["unit", shape], "square")
    graph.levels_of("square", "image", [0, 1, 2, 3])
    document = manifest(
        "generator",
        SHAPE,
        latent={"width": WIDTH, "prior": prior},
        noise=NOISE | {"streams": {"latent": 0}},
        directions={"bright": [0.5] * WIDTH},
        attributes=["bright"],
    )
    outputs = {"image": (TensorProto.UINT8, ["n", *SHAPE])}
    graph.save(path, document | fields, inputs, outputs, *(["zoo"] if noise else []))

    def evaluate(latents: Floats) -> Levels:
        levels = np.rint(255 * sigmoid(latents @ weight.T + bias))
        return levels.reshape(-1, *SHAPE).astype(np.uint8)

    return evaluate


def write_all(folder: Path) -> None:
    """The files that csrc/tests/roles_test.cc and inputs_test.cc read."""
    import small_inputs

    encoder(folder / "plain.encoder.onnx", mean=[0.0] * WIDTH, std=[1.0] * WIDTH)
    encoder(folder / "gaussian.encoder.onnx", deterministic=False)
    translator(folder / "translator.onnx")
    classifier(folder / "classifier.onnx")
    decoder(folder / "plain.onnx")
    small_inputs.write_all(folder)


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
