"""Style-based graphs (Karras et al. 2019): mapping, truncation, layers with noise and styles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto

from native_graphs import Network, Value
from oracles import layers
from oracles.layers import Floats, Numbers


def sampled(graph: Network, width: int) -> Value:
    """A latent that the graph draws; of `decode` it is the mean, without a deviation."""
    mu = graph.latents(width)
    graph.inputs["logvar"] = graph.inputs["mu"]
    graph.inputs["seed"] = graph.inputs["first"] = (TensorProto.INT64, [1])
    inputs = ["mu", "logvar", "seed", "first"]
    return graph.node("ReparametrizedSample", inputs, mu.numbers, domain="zoo", stream=0)


def mapped(graph: Network, latents: Value, width: int, depth: int) -> Value:
    """w [N, width] of latents: their direction, then dense layers."""
    x = graph.pixel_norm(latents)
    for _ in range(depth):
        x = graph.rectify(graph.dense(x, width), 0.2)
    return x


def truncated(graph: Network, w: Value, psi: float, count: int) -> tuple[Value, list[float]]:
    """w̄ + ψ (w - w̄) for each of `count` layers [N, count, W], and w̄."""
    mean, values = graph.drawn(w.channels, deviation=0.5)
    graph.inputs["truncation"] = (TensorProto.FLOAT, [1])
    apart = layers.rounded(w.numbers.exact - values, w.numbers.error)
    away = graph.node("Sub", [w.name, mean], apart)
    scaled = graph.node(
        "Mul", ["truncation", away.name], layers.scale(apart, float(np.float32(psi)))
    )
    moved = layers.rounded(scaled.numbers.exact + values, scaled.numbers.error)
    near = graph.node("Add", [mean, scaled.name], moved)
    one = graph.add("Unsqueeze", [near.name, graph.number([1], np.int64)], "one")
    repeated = moved.each(lambda all_: all_[:, None].repeat(count, axis=1))
    shape = graph.number([1, count, 1], np.int64)
    return graph.node("Expand", [one, shape], repeated), list(map(float, values))


def learned(graph: Network, channels: int, height: int, width: int, rows: int) -> Value:
    """A map that is the same for every image."""
    name, values = graph.drawn(1, channels, height, width)
    return Value(name, layers.given(values.repeat(rows, axis=0)))


def blurred(graph: Network, x: Value, bias: bool) -> Value:
    names, w, b = graph.weights_of(x.channels, 1, 3, 3, fan_in=9, bias=x.channels * bias)
    options: dict[str, Any] = {"group": x.channels, "pads": [1] * 4, "strides": [1, 1]}
    return graph.node("Conv", [x.name, *names], layers.blur(x.numbers, w, b), **options)


def layer_noise(graph: Network, widths: Sequence[int], scale: float, shared: bool) -> list[Value]:
    """Noise times the input `noise`, for each layer from a stream of its own, or all from one."""
    graph.inputs["noise"] = (TensorProto.FLOAT, [1])
    streams = enumerate([sum(widths)] if shared else widths, 1)
    drawn = [graph.normals(stream, width) for stream, width in streams]
    factor = float(np.float32(scale))
    scaled = [graph.node("Mul", [x.name, "noise"], layers.scale(x.numbers, factor)) for x in drawn]
    return graph.split(scaled[0], widths) if shared else scaled


def style_layer(
    graph: Network, x: Value, styles: Value, number: int, slope: float, noise: Value
) -> Value:
    """x with noise, rectified, normalised, in the style of layer `number`."""
    drawn = graph.reshape(noise, 1, *x.sides)
    strength, factors = graph.drawn(x.channels, 1, 1, deviation=0.3)
    weighted = graph.node("Mul", [drawn.name, strength], layers.scale(drawn.numbers, factors))
    y = graph.rectify(graph.add_up(x, weighted), slope)
    chosen = styles.numbers.each(lambda all_: all_[:, number])
    style = graph.node("Gather", [styles.name, graph.number(number, np.int64)], chosen, axis=1)
    affine = graph.dense(style, 2 * x.channels)
    wide = graph.add("Unsqueeze", [affine.name, graph.number([2, 3], np.int64)], f"wide_{number}")
    gain, shift = f"gain_{number}", f"shift_{number}"
    graph.add("Split", [wide], gain, axis=1, num_outputs=2)
    graph.nodes[-1].output.append(shift)
    ones, zeros = (graph.number(np.full(x.channels, value)) for value in (1.0, 0.0))
    norm = graph.add("InstanceNormalization", [y.name, ones, zeros], f"norm_{number}", epsilon=1e-6)
    product = graph.add("Mul", [norm, gain], f"product_{number}")
    return graph.node("Add", [product, shift], styled(y.numbers, affine.numbers, x.channels))


def styled(x: Numbers, affine: Numbers, channels: int) -> Numbers:
    """Instance normalisation with gain and shift of each image; their errors are added."""
    gain, shift = affine.exact[:, :channels], affine.exact[:, channels:]
    made = layers.instance_norm(x, gain, shift, float(np.float32(1e-6)))

    def spread(values: Floats) -> Floats:
        return values[:, :, None, None]

    plain = layers.instance_norm(x, np.ones(channels), np.zeros(channels), 1e-6)
    moved = np.abs(plain.exact) * spread(affine.error[:, :channels])
    return Numbers(made.exact, made.error + moved + spread(affine.error[:, channels:]))
