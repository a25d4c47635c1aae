"""Graphs of a few layers, and what they compute in float64 (`oracles.layers`), built side by side.

A `Network` adds nodes to an ONNX graph and evaluates each at once, for ROWS random images or
latents; `native_engines` ends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

import runtime
from oracles import layers
from oracles.layers import Floats, Numbers
from small_engines import Graph

ROWS = 17
SEED = 3


@dataclass(frozen=True)
class Value:
    """A value of the graph, [N, …], and its numbers for the ROWS inputs."""

    name: str
    numbers: Numbers

    @property
    def channels(self) -> int:
        return self.numbers.shape[1]

    @property
    def sides(self) -> tuple[int, ...]:
        return self.numbers.shape[2:]


@dataclass
class Network(Graph):
    """A graph under construction."""

    seed: int
    halves: bool = False  # weights are stored in half precision
    inputs: dict[str, tuple[int, Sequence[Any]]] = field(default_factory=dict)
    data: dict[str, NDArray[Any]] = field(default_factory=dict)
    noise: dict[int, int] = field(default_factory=dict)  # width of each stream

    def __post_init__(self) -> None:
        super().__init__(self.seed)

    # Nodes and constants

    def node(
        self, op: str, inputs: Sequence[str], numbers: Numbers, output: str = "", **attributes: Any
    ) -> Value:
        name = output or f"{op.lower()}_{len(self.nodes)}"
        return Value(self.add(op, inputs, name, **attributes), numbers)

    def number(self, value: Any, dtype: Any = np.float32) -> str:
        return self.constant(f"constant_{len(self.weights)}", np.asarray(value, dtype))

    def drawn(self, *shape: int, deviation: float = 1.0, mean: float = 0.0) -> tuple[str, Floats]:
        """A constant of normal numbers, floats."""
        values = (mean + deviation * self.random.standard_normal(shape)).astype(np.float32)
        return self.number(values), values.astype(np.float64)

    def weights_of(self, *shape: int, fan_in: int, bias: int) -> tuple[list[str], Floats, Any]:
        """The names of weights and biases (0: none), and both."""
        if self.halves:
            name, weight = self.drawn_halves(*shape, deviation=fan_in**-0.5)
        else:
            name, weight = self.drawn(*shape, deviation=fan_in**-0.5)
        if not bias:
            return [name], weight, None
        second, offset = self.drawn(bias, deviation=0.3)
        return [name, second], weight, offset

    def drawn_halves(self, *shape: int, deviation: float) -> tuple[str, Floats]:
        """A constant of numbers in half precision, some of them subnormal, that a Cast widens."""
        values = deviation * self.random.standard_normal(shape)
        values *= np.where(self.random.random(shape) < 0.1, 2.0**-14, 1.0)
        stored = values.astype(np.float16)
        name = self.number(stored, np.float16)
        return self.add("Cast", [name], f"{name}.wide", to=TensorProto.FLOAT), stored.astype(float)

    # Inputs

    def images(
        self,
        shape: Sequence[int],
        name: str = "image",
        centred: bool = False,
        empty: float = 0.0,
        divisor: float = 255.0,
    ) -> Value:
        """Random bytes [N, H, W, C] as floats [N, C, H, W] from 0 to 1, or from -1 to 1.

        Both for the divisor 255.

        empty: the share of pixels that are black.
        """
        levels = self.random.integers(0, 256, (ROWS, *shape)).astype(np.uint8)
        if empty:
            levels *= self.random.random((*levels.shape[:3], 1)) >= empty
        self.inputs[name] = (TensorProto.UINT8, ["n", *shape])
        self.data[name] = levels
        turned = self.add("Transpose", [name], "planes", perm=[0, 3, 1, 2])
        floats = self.add("Cast", [turned], "levels", to=TensorProto.FLOAT)
        planes = layers.given(levels.transpose(0, 3, 1, 2).astype(np.float64))
        value = self.scaled(Value(floats, planes), "Div", divisor)
        if centred:
            value = self.scaled(self.scaled(value, "Mul", 2.0), "Sub", 1.0)
        return value

    def latents(self, width: int, name: str = "mu", layers_: int = 1) -> Value:
        """Normal numbers [N, width], or of the styles of some layers, [N, layers · width]."""
        values = self.random.standard_normal((ROWS, layers_ * width)).astype(np.float32)
        self.inputs[name] = (TensorProto.FLOAT, ["n", layers_ * width])
        self.data[name] = values
        return Value(name, layers.given(values))

    def normals(self, stream: int, width: int) -> Value:
        """Noise [N, width] of a stream, of samples 0 … N - 1 of SEED."""
        self.inputs["seed"] = self.inputs["first"] = (TensorProto.INT64, [1])
        self.noise[stream] = width
        rows = self.add("Shape", [next(iter(self.data))], f"rows_{stream}", start=0, end=1)
        shape = self.add("Concat", [rows, self.number([width], np.int64)], f"s_{stream}", axis=0)
        zeros = self.add("Expand", [self.number(0.0), shape], f"zeros_{stream}")
        drawn = layers.given(runtime.noise.normals(SEED, 0, ROWS, width, stream))
        inputs = [zeros, zeros, "seed", "first"]
        return self.node("ReparametrizedSample", inputs, drawn, domain="zoo", stream=stream)

    # Layers

    def scaled(self, x: Value, op: str, number: float) -> Value:
        """x · number, or Div, Add, Sub of it; the number is a float."""
        exact = float(np.float32(number))
        numbers = {
            "Mul": lambda: layers.scale(x.numbers, exact),
            "Div": lambda: layers.scale(x.numbers, 1 / exact),
            "Add": lambda: layers.rounded(x.numbers.exact + exact, x.numbers.error),
            "Sub": lambda: layers.rounded(x.numbers.exact - exact, x.numbers.error),
        }[op]()
        return self.node(op, [x.name, self.number(number)], numbers)

    def reshape(self, x: Value, *shape: int) -> Value:
        axes = self.number([-1, *shape], np.int64)
        seen = x.numbers.each(lambda values: values.reshape(len(values), *shape))
        return self.node("Reshape", [x.name, axes], seen)

    def split(self, x: Value, widths: Sequence[int]) -> list[Value]:
        """The parts of x [N, sum of widths], in order."""
        names = [f"part_{len(self.nodes)}_{index}" for index in range(len(widths))]
        self.add("Split", [x.name, self.number(widths, np.int64)], names[0], axis=1)
        self.nodes[-1].output.extend(names[1:])
        ends = np.cumsum(widths)
        return [
            Value(name, x.numbers.each(lambda all_, start=end - w, end=end: all_[:, start:end]))
            for name, w, end in zip(names, widths, ends, strict=True)
        ]

    def flat(self, x: Value) -> Value:
        return self.reshape(x, int(np.prod(x.numbers.shape[1:])))

    def rectify(self, x: Value, slope: float | None) -> Value:
        """LeakyRelu, Relu of slope 0, that of the default slope -1; None: none."""
        if slope is None:
            return x
        if slope == 0.0:
            return self.node("Relu", [x.name], layers.rectify(x.numbers, 0.0))
        attributes = {} if slope == -1.0 else {"alpha": slope}
        made = layers.rectify(x.numbers, 0.01 if slope == -1.0 else slope)
        return self.node("LeakyRelu", [x.name], made, **attributes)

    def dense(self, x: Value, outputs: int, bias: bool = True) -> Value:
        inputs = x.channels
        names, w, b = self.weights_of(outputs, inputs, fan_in=inputs, bias=outputs * bias)
        return self.node("Gemm", [x.name, *names], layers.dense(x.numbers, w, b), transB=1)

    def convolve(
        self,
        x: Value,
        outputs: int,
        size: int,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
    ) -> Value:
        fan_in = x.channels * size**2
        shape = (outputs, x.channels, size, size)
        names, w, b = self.weights_of(*shape, fan_in=fan_in, bias=outputs * bias)
        made = layers.convolve(x.numbers, w, b, stride, padding)
        window = {"strides": [stride] * 2, "pads": [padding] * 4}
        return self.node("Conv", [x.name, *names], made, **window)

    def transpose_convolve(
        self, x: Value, outputs: int, size: int, stride: int, padding: int, bias: bool = True
    ) -> Value:
        fan_in = max(1, x.channels * size**2 // stride**2)
        shape = (x.channels, outputs, size, size)
        names, w, b = self.weights_of(*shape, fan_in=fan_in, bias=outputs * bias)
        made = layers.transpose_convolve(x.numbers, w, b, stride, padding)
        window = {"strides": [stride] * 2, "pads": [padding] * 4}
        return self.node("ConvTranspose", [x.name, *names], made, **window)

    def add_up(self, a: Value, b: Value) -> Value:
        return self.node("Add", [a.name, b.name], layers.add(a.numbers, b.numbers))

    def join(self, *parts: Value) -> Value:
        made = layers.join([part.numbers for part in parts])
        return self.node("Concat", [part.name for part in parts], made, axis=1)

    def instance_norm(self, x: Value, epsilon: float | None = None, affine: bool = True) -> Value:
        gain, g = self.drawn(x.channels, mean=1.0, deviation=0.3 * affine)
        shift, s = self.drawn(x.channels, deviation=0.5 * affine)
        attributes = {} if epsilon is None else {"epsilon": epsilon}
        exact = float(np.float32(1e-5 if epsilon is None else epsilon))
        made = layers.instance_norm(x.numbers, g, s, exact)
        return self.node("InstanceNormalization", [x.name, gain, shift], made, **attributes)

    def batch_norm(self, x: Value, epsilon: float = 1e-5) -> Value:
        """By constants, as after a training."""
        drawn = [self.drawn(x.channels, mean=mean, deviation=0.2) for mean in (1.0, 0.0, 0.0)]
        (gain, g), (shift, s), (mean, m) = drawn
        spread = (0.2 + self.random.random(x.channels)).astype(np.float32)
        factor = g / np.sqrt(spread.astype(np.float64) + float(np.float32(epsilon)))
        axes = (-1, *[1] * len(x.sides))
        # Of weights and a bias that are rounded once more.
        made = layers.scale(x.numbers, factor.reshape(axes), (s - m * factor).reshape(axes))
        made = Numbers(made.exact, 2 * made.error + 4 * layers.UNIT * np.abs(m * factor).max())
        inputs = [x.name, gain, shift, mean, self.number(spread)]
        return self.node("BatchNormalization", inputs, made, epsilon=epsilon)

    def pixel_norm(self, x: Value, epsilon: float = 1e-6) -> Value:
        """Append a pixel norm, with the mean as a convolution for a map, as a mean for a vector."""
        made = layers.pixel_norm(x.numbers, float(np.float32(epsilon)))
        step = len(self.nodes)
        if x.sides:
            square = self.add("Mul", [x.name, x.name], f"square_{step}")
            share = np.full((1, x.channels, 1, 1), np.float32(1) / np.float32(x.channels))
            parts = [square, self.number(share), self.number([epsilon])]
            mean = self.add("Conv", parts, f"mean_{step}")
        else:
            square = self.add("Pow", [x.name, self.number(2.0)], f"square_{step}")
            axes = self.number([1], np.int64)
            share = self.add("ReduceMean", [square, axes], f"share_{step}", keepdims=1)
            mean = self.add("Add", [share, self.number(epsilon)], f"mean_{step}")
        root = self.add("Sqrt", [mean], f"root_{step}")
        return self.node("Div", [x.name, root], made)

    def dropout(self, x: Value, stream: int, threshold: float = 0.0, factor: float = 2.0) -> Value:
        drawn = self.reshape(
            self.normals(stream, int(np.prod(x.numbers.shape[1:]))), *x.numbers.shape[1:]
        )
        more = self.scaled(x, "Mul", factor)
        kept = (drawn.numbers.exact > float(np.float32(threshold))).astype(np.float64)
        over = self.add("Greater", [drawn.name, self.number(threshold)], f"over_{stream}")
        mask = self.add("Cast", [over], f"mask_{stream}", to=TensorProto.FLOAT)
        made = more.numbers.each(lambda values: values * kept)
        return self.node("Mul", [more.name, mask], made)

    def squash(self, x: Value, op: str) -> Value:
        """Sigmoid, Tanh, Softmax or Identity."""
        if op == "Identity":
            return x
        function = {"Sigmoid": layers.sigmoid, "Tanh": layers.tanh, "Softmax": layers.softmax}[op]
        attributes = {"axis": 1} if op == "Softmax" else {}
        return self.node(op, [x.name], function(x.numbers), **attributes)

    def clip(self, x: Value, low: float, high: float) -> Value:
        made = layers.clip(x.numbers, low, high)
        return self.node("Clip", [x.name, self.number(low), self.number(high)], made)
