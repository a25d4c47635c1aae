"""Layers of the native backend that multiply bytes, against exact arithmetic on the same codes.

Sides, channels and windows fill no tile; there are ranges of every kind and many batch sizes.

The operand of each layer is exact in every precision: (level - 128) / 128 or half of it.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runtime
from native_cases import CHANNELS, SLOPES, Case, cases, number, sided
from native_engines import Engine, encoder, translator
from native_graphs import Network, Value
from native_runs import check_within, pairs, rows_in_every_batch
from oracles import int8, layers
from oracles.layers import Numbers
from runtime._library import native
from runtime.errors import ArgumentError, BackendUnavailableError

RANGES = [
    (-0.5, 0.9921875),
    (0.0, 1.0),
    (-0.3, 0.4),
    (0.25, 0.75),
    (-0.5, -0.25),
    (-1e-3, 2e-3),
    (-3e38, 3e38),
    (0.0, 0.0),
    (-1e-40, 1e-40),
]
HALF_ULP = 2.0**-8
"""Of bfloat16, relative."""


def begin(case: Case, name: str = "image") -> tuple[Network, Value]:
    graph = Network(number(case), case.get("halves", False))
    x = graph.images((case["height"], case["width"], case["channels"]), name, divisor=128.0)
    x = graph.scaled(graph.scaled(x, "Mul", 1.0), "Sub", 1.0)
    return graph, graph.rectify(x, 0.5)


def finish(graph: Network, case: Case, layer: str, value: Value, folder: Path) -> None:
    """Check the layer of that name, which computes `value`: as floats, or as narrow elements."""
    value = graph.rectify(value, case["slope"])
    if case.get("narrow", False):
        rounded = Numbers(value.numbers.exact, value.numbers.error)
        rounded = layers.rounded(rounded.exact, rounded.error, 1.01 * HALF_ULP / layers.UNIT)
        value = graph.rectify(Value(value.name, rounded), 0.5)
    # If the layer computes the output, it is called mu.
    ranges = {layer: case["range"], "mu": case["range"], "another layer": [0, 1]}
    flat = graph.flat(value) if value.sides else value
    engine = encoder(graph, folder / "small.onnx", flat, int8={"ranges": ranges})
    if not native.native_isas("int8"):
        with pytest.raises(BackendUnavailableError, match="no int8, which needs AVX512-VNNI"):
            runtime.Encoder(engine.path, precision="int8")
        return
    assert len(layers_of_bytes(engine)) == 1
    check_within(rows_in_every_batch(engine, precision="int8"), engine)


def layers_of_bytes(engine: Engine) -> list[str]:
    timed = runtime.measure_layers(engine.path, "int8", 8, 0.0).layers
    return [layer.name for layer in timed if layer.kernel.startswith("u8")]


def uses(outputs: int, taps: float) -> float:
    """Blocks of weights that each 16 channels of an operand are multiplied by; 2 are needed."""
    return -(-outputs // 16) * taps


WINDOWS = [(1, 1, 0), (3, 1, 1), (4, 1, 1), (2, 2, 0), (3, 2, 1), (4, 2, 1), (5, 1, 4), (3, 1, 0)]
OPTIONS: dict[str, Any] = {
    "outputs": CHANNELS,
    "bias": (True, False),
    "slope": SLOPES,
    "range": RANGES,
    "narrow": (False, True),
}


def suits(case: Case) -> bool:
    size, stride, padding = case["window"]
    height, width = (
        (case[side] + 2 * padding - size) // stride + 1 for side in ("height", "width")
    )
    taps = size**2 * height * width / (case["height"] * case["width"])
    return min(height, width) > 0 and uses(case["outputs"], taps) >= 2


@cases(
    *(
        case
        for case in sided(31, 70, window=WINDOWS, halves=(False, True), **OPTIONS)
        if suits(case)
    )
)
def test_convolutions(case: Case, tmp_path: Path) -> None:
    graph, x = begin(case)
    size, stride, padding = case["window"]
    shape = (case["outputs"], x.channels, size, size)
    names, w, b = graph.weights_of(
        *shape, fan_in=w_size(shape), bias=case["outputs"] * case["bias"]
    )
    apply = partial(layers.convolve, bias=None, stride=stride, padding=padding)
    made = int8.linear(x.numbers.exact, case["range"], w, b, (1, 2, 3), apply)
    window = {"strides": [stride] * 2, "pads": [padding] * 4}
    y = graph.node("Conv", [x.name, *names], made, "layer", **window)
    finish(graph, case, "layer", y, tmp_path)


def w_size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape[1:]))


@cases(*sided(32, 40, window=((4, 2, 1), (2, 2, 0), (3, 1, 1), (6, 2, 2)), **OPTIONS))
def test_transposed_convolutions(case: Case, tmp_path: Path) -> None:
    """Of one pixel without padding, each pixel of the result has scales of its own."""
    graph, x = begin(case)
    size, stride, padding = case["window"]
    shape = (x.channels, case["outputs"], size, size)
    names, w, b = graph.weights_of(*shape, fan_in=x.channels, bias=case["outputs"] * case["bias"])
    apply = partial(layers.transpose_convolve, bias=None, stride=stride, padding=padding)
    axes = (0,) if x.sides == (1, 1) and padding == 0 else (0, 2, 3)
    made = int8.linear(x.numbers.exact, case["range"], w, b, axes, apply)
    window = {"strides": [stride] * 2, "pads": [padding] * 4}
    y = graph.node("ConvTranspose", [x.name, *names], made, "layer", **window)
    finish(graph, case, "layer", y, tmp_path)


@cases(*pairs(33, 30, height=(1, 2, 5), width=(1, 3), channels=CHANNELS,
              **OPTIONS | {"outputs": (17, 31, 33, 48)}))  # fmt: skip
def test_dense_layers(case: Case, tmp_path: Path) -> None:
    """The operand is a map, in the order [C, H, W]."""
    graph, x = begin(case)
    flat = graph.flat(x)
    shape = (case["outputs"], flat.channels)
    names, w, b = graph.weights_of(*shape, fan_in=flat.channels, bias=shape[0] * case["bias"])
    made = int8.linear(
        flat.numbers.exact, case["range"], w, b, (1,), partial(layers.dense, bias=None)
    )
    y = graph.node("Gemm", [flat.name, *names], made, "layer", transB=1)
    finish(graph, case, "layer", y, tmp_path)


@cases(*pairs(34, 12, channels=(1, 17, 48), outputs=(1, 5, 17), height=(2, 3), width=(1, 4),
              range=RANGES, slope=(None, 0.2), narrow=(False, True)))  # fmt: skip
def test_dense_layers_that_make_maps(case: Case, tmp_path: Path) -> None:
    """Each pixel of the result has scales of its own."""
    graph, x = begin(case | {"height": 1, "width": 1})
    flat = graph.flat(x)
    sides = (case["outputs"], case["height"], case["width"])
    count = int(np.prod(sides))
    names, w, b = graph.weights_of(count, flat.channels, fan_in=flat.channels, bias=count)
    made = int8.linear(
        flat.numbers.exact, case["range"], w, b, (1,), partial(layers.dense, bias=None)
    )
    y = graph.reshape(graph.node("Gemm", [flat.name, *names], made, "layer", transB=1), *sides)
    finish(graph, case, "layer", y, tmp_path)


LAST = [(1, 1, 0, False), (3, 1, 1, False), (5, 1, 2, False), (4, 2, 1, True), (2, 2, 0, True)]


@cases(*pairs(35, 40, height=(1, 4, 9, 18), width=(3, 8, 17), channels=(1, 5, 16, 17, 33),
              window=LAST, outputs=(1, 2, 3, 5), range=RANGES, bias=(True, False)))  # fmt: skip
def test_last_layers(case: Case, tmp_path: Path) -> None:
    """If the products of all taps are summed at once; other last layers stay in bf16."""
    graph, x = begin(case, "input")
    size, stride, padding, transposed = case["window"]
    outputs, channels = case["outputs"], x.channels
    shape = (channels, outputs, size, size) if transposed else (outputs, channels, size, size)
    names, w, b = graph.weights_of(*shape, fan_in=channels * size**2, bias=outputs * case["bias"])
    layer = layers.transpose_convolve if transposed else layers.convolve
    apply = partial(layer, bias=None, stride=stride, padding=padding)
    axes = (0, 2, 3) if transposed else (1, 2, 3)
    made = int8.linear(x.numbers.exact, case["range"], w, b, axes, apply)
    window = {"strides": [stride] * 2, "pads": [padding] * 4}
    op = "ConvTranspose" if transposed else "Conv"
    y = graph.squash(graph.node(op, [x.name, *names], made, "layer", **window), "Sigmoid")
    ranges = {"layer": case["range"]}
    engine = translator(graph, tmp_path / "small.onnx", y, int8={"ranges": ranges})
    if not native.native_isas("int8"):
        with pytest.raises(BackendUnavailableError, match="no int8, which needs AVX512-VNNI"):
            runtime.Translator(engine.path, precision="int8")
    elif size > 1 and outputs * size**2 <= channels:
        with pytest.raises(
            ArgumentError, match="no layer that the backend native computes in int8"
        ):
            runtime.Translator(engine.path, precision="int8")
    else:
        assert layers_of_bytes(engine) == ["layer"]
        check_within(rows_in_every_batch(engine, precision="int8"), engine)


def test_layers_share_an_encoded_operand(tmp_path: Path) -> None:
    """Of one joined map, whose first part ends within a block: with the same range, but not with
    another; a layer without a range reads the map itself.
    """
    if not native.native_isas("int8"):
        return  # the other tests check the refusal
    graph, x = begin({"height": 5, "width": 7, "channels": 17})
    value = graph.join(x, graph.rectify(x, 0.25))
    ranges = {"a": (-0.4, 0.9), "b": (-0.4, 0.9), "c": (0.0, 1.0)}
    outputs = []
    for name in "abcd":
        names, w, b = graph.weights_of(16, value.channels, 3, 3, fan_in=300, bias=16)
        apply = partial(layers.convolve, bias=None, stride=1, padding=1)
        made = (
            int8.linear(value.numbers.exact, ranges[name], w, b, (1, 2, 3), apply)
            if name in ranges
            else layers.convolve(value.numbers, w, b, 1, 1)
        )
        outputs.append(graph.node("Conv", [value.name, *names], made, name, pads=[1] * 4))
    x = outputs[0]
    for other in outputs[1:]:
        x = graph.add_up(x, other)
    engine = encoder(graph, tmp_path / "small.onnx", graph.flat(x), int8={"ranges": ranges})
    timed = runtime.measure_layers(engine.path, "int8", 8, 0.0).layers
    assert layers_of_bytes(engine) == ["a", "b", "c"]
    assert sum(layer.kind == "quantization" for layer in timed) == 2
    rows = rows_in_every_batch(engine, precision="int8")
    # Each sum is rounded to bfloat16, and so are the results of the layer without a range.
    assert np.abs(rows - engine.exact).max() <= 8 * HALF_ULP * np.abs(engine.exact).max()


def test_layers_too_small_for_bytes_stay_as_they_are(tmp_path: Path) -> None:
    """Encoding their operand would take longer than bytes save."""
    if not native.native_isas("int8"):
        return  # the other tests check the refusal
    graph, x = begin({"height": 6, "width": 6, "channels": 32})
    y = graph.convolve(graph.rectify(graph.convolve(x, 32, 3, padding=1), 0.0), 16, 1)
    z = graph.dense(graph.flat(y), 16)
    ranges = {node.output[0]: [-8, 8] for node in graph.nodes} | {"mu": [-8, 8]}
    engine = encoder(graph, tmp_path / "small.onnx", z, int8={"ranges": ranges})
    assert len(layers_of_bytes(engine)) == 1
