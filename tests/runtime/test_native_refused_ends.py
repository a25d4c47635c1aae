"""Inputs and outputs of graphs that ONNX Runtime computes and the native backend does not: it says
so, and names the node.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

import runtime
from native_engines import Engine, classifier, encoder, generator, translator, write
from native_graphs import ROWS, Network, Value
from native_refusals import CONVOLUTION, UNKNOWN, Build, refused, unknown
from native_styles import layer_noise, learned, mapped, sampled, style_layer, truncated
from runtime.errors import BackendUnavailableError


@pytest.mark.parametrize("perm", [[0, 3, 2, 1], [0, 3, 1, 2]], ids=str)
def test_images_that_are_read_otherwise(perm: list[int], tmp_path: Path) -> None:
    """Turned about, or not divided."""

    def build(graph: Network, path: Path) -> Engine:
        x = graph.images((4, 4, 3))
        graph.nodes[0].attribute[0].ints[:] = perm
        if perm == [0, 3, 1, 2]:
            graph.nodes[-1].op_type = "Mul"
        return encoder(graph, path, graph.flat(graph.convolve(x, 2, 1)))

    message = r"node 'planes' \(Transpose\) reads images in an unknown way"
    refused(tmp_path / "small.onnx", build, message)


def latent_map(graph: Network, *shape: int) -> Value:
    return graph.reshape(graph.latents(int(np.prod(shape))), *shape)


def with_clips(*bounds: tuple[float, float], squash: str = "Identity") -> Build:
    def build(graph: Network, path: Path) -> Engine:
        y = graph.convolve(latent_map(graph, 3, 4, 4), 2, 3, 1, 1)
        for low, high in bounds:
            y = graph.clip(y, low, high)
        return generator(graph, path, graph.squash(y, squash), levels=False)

    return build


def with_windows(*window: int, transposed: bool = False) -> Build:
    def build(graph: Network, path: Path) -> Engine:
        x = latent_map(graph, 3, 8, 8)
        make = graph.transpose_convolve if transposed else graph.convolve
        return generator(graph, path, graph.squash(make(x, 2, *window), "Sigmoid"))

    return build


def turned(graph: Network, path: Path) -> Engine:
    """Floats whose channels are last, of an image that is as high as it has channels."""
    x = graph.squash(graph.convolve(latent_map(graph, 3, 3, 3), 3, 3, 1, 1), "Tanh")
    seen = x.numbers.each(lambda values: values.transpose(0, 2, 3, 1))
    y = graph.node("Transpose", [x.name], seen, perm=[0, 2, 3, 1])
    return generator(graph, path, y, levels=False)


def pixels_first(graph: Network, path: Path) -> Engine:
    """A dense layer whose numbers are pixel by pixel, so that nothing is turned."""
    x = graph.squash(graph.dense(graph.latents(7), 60), "Sigmoid")
    x = graph.reshape(x, 4, 5, 3)
    scaled = graph.add("Mul", [x.name, graph.number(255.0)], "scaled")
    moved = graph.add("Add", [scaled, graph.number(0.5)], "moved")
    graph.add("Cast", [graph.add("Floor", [moved], "whole")], "image", to=TensorProto.UINT8)
    outputs = {"image": (TensorProto.UINT8, ["n", 4, 5, 3])}
    write(graph, path, "generator", (4, 5, 3), outputs, latent={"width": 7, "prior": "none"})
    return generated(graph, path, (4, 5, 3))


def rounded(graph: Network, path: Path) -> Engine:
    """Halves go to the even level."""
    made = with_windows(3, 1, 1)(graph, path)
    for node in graph.nodes:
        if node.op_type == "Floor":
            node.op_type = "Round"
    outputs = {"image": (TensorProto.UINT8, ["n", 8, 8, 2])}
    write(graph, path, "generator", (8, 8, 2), outputs, latent={"width": 192, "prior": "none"})
    return made


def generated(graph: Network, path: Path, shape: tuple[int, ...]) -> Engine:
    blank = np.zeros((ROWS, *shape))

    def call(engine: Any, part: slice) -> Any:
        return engine.decode(graph.data["mu"][part])

    return Engine(path, runtime.Generator, call, blank, blank, blank)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (with_clips((-0.5, 0.5), squash="Sigmoid"), UNKNOWN.format("clip_2", "Clip")),
        (with_clips((-0.5, 0.5), squash="Tanh"), UNKNOWN.format("clip_2", "Clip")),
        (with_clips((-0.5, 0.5), (-1.0, 2.0)), UNKNOWN.format("clip_2", "Clip")),
        (with_windows(1, 1, 2), CONVOLUTION.format("conv_1", "Conv")),
        (with_windows(3, 1, 5), CONVOLUTION.format("conv_1", "Conv")),
        (with_windows(3, 2, 1), UNKNOWN.format("sigmoid_2", "Sigmoid")),
        (with_windows(2, 2, 3, transposed=True), r"node 'convtranspose_1' \(ConvTranspose\) is a"),
        (with_windows(3, 2, 1, transposed=True), r"node 'convtranspose_1' \(ConvTranspose\) is a"),
        (turned, UNKNOWN.format("tanh_2", "Tanh")),
        (pixels_first, UNKNOWN.format("sigmoid_1", "Sigmoid")),
        (rounded, UNKNOWN.format("sigmoid_2", "Sigmoid")),
    ],
)
def test_ends(build: Build, message: str, tmp_path: Path) -> None:
    refused(tmp_path / "small.onnx", build, message)


@pytest.mark.parametrize("dense", [True, False])
def test_images_that_are_added_otherwise(dense: bool, tmp_path: Path) -> None:
    """To what was clipped before, or to a dense layer's numbers."""

    def build(graph: Network, path: Path) -> Engine:
        x = graph.images((4, 4, 3), "input")
        if dense:
            y = graph.reshape(graph.dense(graph.flat(x), 48), 3, 4, 4)
        else:
            y = graph.clip(graph.convolve(graph.rectify(x, 0.0), 3, 3, 1, 1), -0.1, 0.1)
        return translator(graph, path, graph.clip(graph.add_up(x, y), 0.0, 1.0))

    refused(tmp_path / "small.onnx", build, r"node 'clip_\d' \(Clip\) is not of an operator")


def test_scores_of_other_images(tmp_path: Path) -> None:
    """A softmax over the images of a run."""

    def build(graph: Network, path: Path) -> Engine:
        x = graph.dense(graph.flat(graph.images((2, 3, 4))), 5)
        return classifier(graph, path, graph.node("Softmax", [x.name], unknown(x, 5), axis=0))

    refused(tmp_path / "small.onnx", build, UNKNOWN.format("scores", "Softmax"))


def with_styles(change: str) -> Build:
    """A style-based generator of one layer, with something changed in it."""

    def build(graph: Network, path: Path) -> Engine:
        w = mapped(graph, sampled(graph, 6), 6, 1)
        styles, mean = truncated(graph, w, 0.7, 1)
        noise = layer_noise(graph, [16, 20], 1.0, shared=True)[0]
        x = style_layer(graph, learned(graph, 16, 4, 4, ROWS), styles, 0, 0.2, noise)

        def first(op: str, operand: str = "") -> Any:
            """The first node of that operator, or that has that operand."""
            nodes = graph.nodes
            return next(n for n in nodes if n.op_type == op and (not operand or operand in n.input))

        if change == "mean":
            scaled = first("Mul", first("Sub").output[0])
            first("Add", scaled.output[0]).input[0] = graph.drawn(6)[0]
        elif change == "noise":
            first("Reshape").input[1] = graph.number([-1, 16, 1, 1], np.int64)
        elif change == "parts":
            first("Split").input[1] = graph.number([20, 16], np.int64)
        elif change == "negative":
            first("Split").input[1] = graph.number([-16, 52], np.int64)
        elif change == "rows":
            first("Split").attribute[0].i = 0
        elif change == "strength":
            first("Mul", first("Reshape").output[0]).input[1] = graph.drawn(4, 4)[0]
        else:
            first("InstanceNormalization").input[1] = graph.drawn(16)[0]
        image = graph.clip(graph.convolve(x, 1, 1), 0.0, 1.0)
        truncation = {"mean": mean, "layers": 1, "width": 6}
        return generator(graph, path, image, truncation=truncation)

    return build


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("mean", r"node 'sub_\d+' \(Sub\) is not of an operator that it knows"),
        ("noise", r"node 'mul_\d+' \(Mul\) is no noise of a layer"),
        ("strength", r"node 'mul_\d+' \(Mul\) is no noise of a layer"),
        ("gain", r"node 'norm_0' \(InstanceNormalization\) has a scale or a bias of its own"),
    ],
)
def test_styles(change: str, message: str, tmp_path: Path) -> None:
    """Another mean, noise for each channel, a strength for each pixel, a gain of the norm's own."""
    refused(tmp_path / "small.onnx", with_styles(change), message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("parts", "reads noise whose size does not match the map"),
        ("negative", "is no noise of a layer"),
        ("rows", "is no noise of a layer"),
    ],
)
def test_parts_of_noise(change: str, message: str, tmp_path: Path) -> None:
    """A part of another size, one of negative size, and parts of the batch: no runtime has them."""
    path = tmp_path / "small.onnx"
    engine = with_styles(change)(Network(1), path)
    with pytest.raises(BackendUnavailableError, match=message):
        engine.open(path, backend="native")


@pytest.mark.parametrize(("mean", "logvar"), [(1.0, 0.0), (0.0, 2.0)])
def test_noise_of_another_distribution(mean: float, logvar: float, tmp_path: Path) -> None:
    def build(graph: Network, path: Path) -> Engine:
        x = graph.convolve(graph.images((3, 4, 3), "input"), 5, 1)
        y = graph.convolve(graph.dropout(x, 1), 3, 1)
        drawn = next(node for node in graph.nodes if node.op_type == "ReparametrizedSample")
        zeros = next(node for node in graph.nodes if node.op_type == "Expand")
        at = graph.nodes.index(drawn)
        for i, number in enumerate((mean, logvar)):
            operands = [graph.number(number), zeros.input[1]]
            drawn.input[i] = graph.add("Expand", operands, f"operand_{i}")
            graph.nodes.insert(at, graph.nodes.pop())
        return translator(graph, path, graph.squash(y, "Sigmoid"))

    refused(tmp_path / "small.onnx", build, r"node 'mul_\d+' \(Mul\) is not of an operator")


def test_latents_that_are_outputs_too(tmp_path: Path) -> None:
    def build(graph: Network, path: Path) -> Engine:
        y = graph.reshape(graph.dense(graph.latents(6, "latent"), 12), 3, 2, 2)
        made = generator(graph, path, graph.squash(y, "Sigmoid"))
        outputs = {"image": (TensorProto.UINT8, ["n", 2, 2, 3]), **graph.inputs}
        write(graph, path, "synthesis", (2, 2, 3), outputs, latent={"width": 6, "prior": "none"})
        return made

    message = r"output 'latent' is not computed by operators that it knows"
    refused(tmp_path / "small.onnx", build, message)
