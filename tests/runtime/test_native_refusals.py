"""Graphs that ONNX Runtime computes and the native backend does not: it says so and names the node,
and `auto` takes another backend. It never gives other numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from native_engines import Engine, encoder
from native_graphs import Network, Value
from native_refusals import CONVOLUTION, UNKNOWN, refused, unknown
from native_runs import check
from oracles import layers


def mapped(graph: Network, *shape: int) -> Value:
    """A map of these channels and sides, not that of the image itself."""
    channels, height, width = shape
    return graph.rectify(graph.images((height, width, channels), centred=True), 0.3)


@pytest.mark.parametrize(
    ("attributes", "sides"),
    [
        ({"dilations": [2, 2], "pads": [2] * 4}, (7, 6)),
        ({"group": 2, "pads": [1] * 4}, (7, 6)),
        ({"pads": [0, 0, 1, 1]}, (6, 5)),
        ({"pads": [0, 1, 0, 1]}, (5, 6)),
        ({"strides": [1, 2], "pads": [1] * 4}, (7, 3)),
        ({"strides": [3, 3], "pads": [1] * 4}, (3, 2)),
        ({"auto_pad": "SAME_UPPER"}, (7, 6)),
        ({"auto_pad": "VALID"}, (5, 4)),
        ({"pads": [3] * 4}, (11, 10)),
    ],
    ids=str,
)
def test_convolutions(attributes: dict[str, Any], sides: tuple[int, int], tmp_path: Path) -> None:
    def build(graph: Network, path: Path) -> Engine:
        x = mapped(graph, 4, 7, 6)
        weight, _ = graph.drawn(6, 4 // attributes.get("group", 1), 3, 3)
        y = graph.node("Conv", [x.name, weight], unknown(x, 6, *sides), "odd", **attributes)
        return encoder(graph, path, graph.flat(y))

    grouped = r"node 'odd' \(Conv\) takes no map of so many channels"
    message = grouped if "group" in attributes else CONVOLUTION.format("odd", "Conv")
    refused(tmp_path / "small.onnx", build, message)


@pytest.mark.parametrize("shape", [(3, 1), (1, 3), (2, 3)], ids=str)
def test_windows_that_are_not_square(shape: tuple[int, int], tmp_path: Path) -> None:
    def build(graph: Network, path: Path) -> Engine:
        x = mapped(graph, 4, 7, 6)
        weight, _ = graph.drawn(6, 4, *shape)
        made = unknown(x, 6, 8 - shape[0], 7 - shape[1])
        return encoder(graph, path, graph.flat(graph.node("Conv", [x.name, weight], made, "odd")))

    refused(tmp_path / "small.onnx", build, CONVOLUTION.format("odd", "Conv"))


@pytest.mark.parametrize(
    ("attributes", "size", "sides"),
    [
        ({"strides": [2, 2], "pads": [1] * 4, "output_padding": [1, 1]}, 3, (14, 12)),
        ({"strides": [2, 2], "pads": [1] * 4, "dilations": [2, 2]}, 4, (17, 15)),
        ({"strides": [2, 2], "pads": [1] * 4, "group": 2}, 4, (14, 12)),
        ({"strides": [2, 2], "pads": [0, 0, 1, 1]}, 3, (14, 12)),
        ({"strides": [2, 1], "pads": [1] * 4}, 4, (14, 7)),
        ({"strides": [2, 2], "output_shape": [14, 12]}, 4, (14, 12)),
        ({"strides": [2, 2], "auto_pad": "SAME_UPPER"}, 4, (14, 12)),
        ({"strides": [2, 2], "pads": [1] * 4}, 3, (13, 11)),
        ({"strides": [1, 1]}, 3, (9, 8)),
    ],
    ids=str,
)
def test_transposed_convolutions(
    attributes: dict[str, Any], size: int, sides: tuple[int, int], tmp_path: Path
) -> None:
    def build(graph: Network, path: Path) -> Engine:
        x = mapped(graph, 4, 7, 6)
        groups = attributes.get("group", 1)
        weight, _ = graph.drawn(4, 6 // groups, size, size)
        made = unknown(x, 6, *sides)
        y = graph.node("ConvTranspose", [x.name, weight], made, "odd", **attributes)
        return encoder(graph, path, graph.flat(y))

    refused(tmp_path / "small.onnx", build, r"node 'odd' \(ConvTranspose\) is a ")


@pytest.mark.parametrize(
    ("op", "shape", "attributes", "message"),
    [
        ("Gemm", (24, 5), {}, r"node 'mu' \(Gemm\) is no dense layer"),
        ("Gemm", (5, 24), {"transB": 1, "alpha": 2.0}, r"node 'mu' \(Gemm\) is no dense layer"),
        ("MatMul", (24, 5), {}, UNKNOWN.format("mu", "MatMul")),
    ],
    ids=str,
)
def test_dense_layers(
    op: str, shape: tuple[int, ...], attributes: Any, message: str, tmp_path: Path
) -> None:
    def build(graph: Network, path: Path) -> Engine:
        x = graph.flat(mapped(graph, 4, 2, 3))
        weight, _ = graph.drawn(*shape)
        y = graph.node(op, [x.name, weight], unknown(x, 5), "mu", **attributes)
        return encoder(graph, path, y)

    refused(tmp_path / "small.onnx", build, message)


def normalised(graph: Network, x: Value, axes: list[int], epsilon: float = 1e-6) -> Value:
    """x / √(mean of x² over these axes + ε) of a vector, or of a map of one pixel."""
    square = graph.add("Pow", [x.name, graph.number(2.0)], "square")
    mean = graph.add("ReduceMean", [square, graph.number(axes, np.int64)], "mean", keepdims=1)
    moved = graph.add("Add", [mean, graph.number(epsilon)], "moved")
    root = graph.add("Sqrt", [moved], "root")
    return graph.node("Div", [x.name, root], unknown(x, *x.numbers.shape[1:]))


@pytest.mark.parametrize("axes", [[0], [2, 3], [1, 2, 3]], ids=str)
def test_means_over_other_axes(axes: list[int], tmp_path: Path) -> None:
    def build(graph: Network, path: Path) -> Engine:
        x = graph.convolve(mapped(graph, 8, 1, 1), 8, 1)
        x = graph.flat(x) if axes == [0] else x
        y = normalised(graph, x, axes)
        return encoder(graph, path, graph.flat(y) if y.sides else y)

    refused(tmp_path / "small.onnx", build, UNKNOWN.format("square", "Pow"))


@pytest.mark.parametrize(
    ("share", "attributes"),
    [(1 / 8, {}), (1 / 4, {"strides": [2, 2]}), (1 / 4, {"pads": [0, 0, 0, 0], "group": 1})],
    ids=str,
)
def test_means_of_other_weights_or_pixels(share: float, attributes: Any, tmp_path: Path) -> None:
    """The mean of the channels as a convolution; the last of these is one."""

    def build(graph: Network, path: Path) -> Engine:
        x = mapped(graph, 4, 2, 2)
        square = graph.add("Mul", [x.name, x.name], "square")
        weight = graph.number(np.full((1, 4, 1, 1), share))
        mean = graph.add("Conv", [square, weight, graph.number([1e-6])], "mean", **attributes)
        root = graph.add("Sqrt", [mean], "root")
        made = layers.pixel_norm(x.numbers, float(np.float32(1e-6)))
        return encoder(graph, path, graph.flat(graph.node("Div", [x.name, root], made)))

    path = tmp_path / "small.onnx"
    if "group" in attributes:
        check(build(Network(1), path))
    else:
        refused(path, build, UNKNOWN.format("square", "Mul"))


@pytest.mark.parametrize("kind", ["pixel", "vector", "instance"])
def test_norms_without_an_epsilon(kind: str, tmp_path: Path) -> None:
    """The columns beside the picture would become 0 / 0."""

    def build(graph: Network, path: Path) -> Engine:
        x = mapped(graph, 7, 5, 5)
        if kind == "vector":
            return encoder(graph, path, normalised(graph, graph.dense(graph.flat(x), 7), [1], 0.0))
        y = graph.pixel_norm(x, 0.0) if kind == "pixel" else graph.instance_norm(x, 0.0)
        return encoder(graph, path, graph.flat(graph.convolve(y, 3, 3, padding=1)))

    refused(tmp_path / "small.onnx", build, r"node '\w+' \(\w+\) adds no epsilon above 0")


@pytest.mark.parametrize("op", ["BatchNormalization", "LayerNormalization", "GroupNormalization"])
def test_other_norms(op: str, tmp_path: Path) -> None:
    def build(graph: Network, path: Path) -> Engine:
        x = mapped(graph, 4, 3, 4)
        ones = graph.number(np.ones(4))
        inputs = [x.name, *[ones] * {"BatchNormalization": 4, "LayerNormalization": 1}.get(op, 2)]
        attributes = {"num_groups": 2} if op == "GroupNormalization" else {}
        if attributes:
            inputs[1:] = [graph.number(np.ones(2))] * 2
        y = graph.node(op, inputs, unknown(x, 4, 3, 4), "odd", **attributes)
        return encoder(graph, path, graph.flat(y))

    refused(tmp_path / "small.onnx", build, UNKNOWN.format("odd", op))


def test_batch_norms_of_maps_that_are_read_before(tmp_path: Path) -> None:
    """The weights make the map that is normalised and the one that is not."""

    def build(graph: Network, path: Path) -> Engine:
        x = graph.convolve(mapped(graph, 4, 3, 4), 4, 3, padding=1)
        y = graph.batch_norm(x)
        return encoder(graph, path, graph.flat(graph.add_up(x, y)))

    message = UNKNOWN.format(r"batchnormalization_\d+", "BatchNormalization")
    refused(tmp_path / "small.onnx", build, message)


@pytest.mark.parametrize(
    ("op", "operand", "message"),
    [
        ("Add", (4, 1, 1), UNKNOWN.format("odd", "Add")),
        ("Add", (1, 4, 3, 4), UNKNOWN.format("odd", "Add")),
        ("Mul", (4, 1, 1), UNKNOWN.format("odd", "Mul")),
        ("PRelu", (4, 1, 1), UNKNOWN.format("odd", "PRelu")),
    ],
    ids=str,
)
def test_constants_for_each_channel(op: str, operand: Any, message: str, tmp_path: Path) -> None:
    def build(graph: Network, path: Path) -> Engine:
        x = mapped(graph, 4, 3, 4)
        constant, _ = graph.drawn(*operand)
        y = graph.node(op, [x.name, constant], unknown(x, 4, 3, 4), "odd")
        return encoder(graph, path, graph.flat(y))

    refused(tmp_path / "small.onnx", build, message)


def test_sums_of_maps_of_other_sides(tmp_path: Path) -> None:
    """The smaller map is repeated."""

    def build(graph: Network, path: Path) -> Engine:
        x = mapped(graph, 4, 3, 3)
        y = graph.convolve(x, 4, 3)
        y = graph.node("Add", [x.name, y.name], unknown(x, 4, 3, 3), "odd")
        return encoder(graph, path, graph.flat(y))

    refused(tmp_path / "small.onnx", build, r"node 'odd' \(Add\) adds maps of different shapes")


@pytest.mark.parametrize("alpha", [1.5, -0.1])
def test_slopes_beyond_0_to_1(alpha: float, tmp_path: Path) -> None:
    def build(graph: Network, path: Path) -> Engine:
        x = graph.convolve(mapped(graph, 4, 3, 4), 4, 1)
        y = graph.node("LeakyRelu", [x.name], unknown(x, 4, 3, 4), "odd", alpha=alpha)
        return encoder(graph, path, graph.flat(y))

    refused(tmp_path / "small.onnx", build, r"node 'odd' \(LeakyRelu\) has a slope beyond 0 to 1")


@pytest.mark.parametrize("axis", [2, 3, -1, -3])
def test_joins_along_other_axes(axis: int, tmp_path: Path) -> None:
    def build(graph: Network, path: Path) -> Engine:
        x = mapped(graph, 4, 3, 3)
        shape = [4, 3, 3]
        shape[axis - 1 if axis > 0 else axis] *= 2
        y = graph.node("Concat", [x.name, x.name], unknown(x, *shape), "odd", axis=axis)
        return encoder(graph, path, graph.flat(y))

    refused(tmp_path / "small.onnx", build, UNKNOWN.format("odd", "Concat"))


@pytest.mark.parametrize(
    ("op", "operands", "attributes", "shape"),
    [
        ("Resize", ["", (1.0, 1.0, 2.0, 2.0)], {"mode": "nearest"}, (4, 6, 8)),
        ("Resize", ["", (1.0, 1.0, 2.0, 2.0)], {"mode": "linear"}, (4, 6, 8)),
        ("MaxPool", [], {"kernel_shape": [2, 2]}, (4, 2, 3)),
        ("AveragePool", [], {"kernel_shape": [2, 2]}, (4, 2, 3)),
        ("GlobalAveragePool", [], {}, (4, 1, 1)),
        ("DepthToSpace", [], {"blocksize": 2}, (1, 6, 8)),
        ("Elu", [], {}, (4, 3, 4)),
        ("Identity", [], {}, (4, 3, 4)),
        ("Transpose", [], {"perm": [0, 1, 3, 2]}, (4, 4, 3)),
    ],
    ids=str,
)
def test_other_operators(
    op: str, operands: Any, attributes: Any, shape: Any, tmp_path: Path
) -> None:
    def build(graph: Network, path: Path) -> Engine:
        x = mapped(graph, 4, 3, 4)
        names = [each and graph.number(each) for each in operands]
        y = graph.node(op, [x.name, *names], unknown(x, *shape), "odd", **attributes)
        return encoder(graph, path, graph.flat(y))

    refused(tmp_path / "small.onnx", build, UNKNOWN.format("odd", op))
