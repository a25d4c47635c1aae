"""Layers whose operands are bytes and whose weights are signed bytes, in exact arithmetic.

Activations: round(x / scale) + zero, clipped to 0…255, where scale = (high - low) / 255 and zero is
the code of 0; weights: round(w / scale) with the largest magnitude of an output channel at 127.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from oracles.layers import UNIT, Floats, Numbers, given


def encode(x: Floats, low: float, high: float) -> tuple[Floats, float]:
    """Return the codes of activations minus that of 0, and their scale."""
    least, most = min(float(np.float32(low)), 0.0), max(float(np.float32(high)), 0.0)
    scale = (most - least) / 255
    if scale < np.finfo(np.float32).tiny:
        return np.zeros_like(x), 0.0
    zero = np.rint(-least / scale)
    codes = np.rint(x.astype(np.float32) * np.float32(1 / scale))
    return np.clip(codes, -zero, 255 - zero).astype(np.float64), float(np.float32(scale))


def encode_weights(weight: Floats, axes: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Return whole weights, and the scales: those of the largest magnitudes along the axes."""
    floats = weight.astype(np.float32)
    scale = np.abs(floats).max(axis=axes, keepdims=True) / np.float32(127)
    whole = np.rint(np.divide(floats, scale, out=np.zeros_like(floats), where=scale > 0))
    return whole.astype(np.float64), scale


def linear(
    x: Floats,
    bounds: tuple[float, float],
    weight: Floats,
    bias: Floats | None,
    axes: tuple[int, ...],
    apply: Callable[[Numbers, Floats], Numbers],
) -> Numbers:
    """Sums apply(x, weight) of whole numbers, times the scales, and the bias of the second axis.

    axes: of the weights, those that are summed over.
    """
    codes, scale = encode(x, *bounds)
    whole, scales = encode_weights(weight, axes)
    sums = apply(given(codes), whole).exact
    assert np.array_equal(sums, np.rint(sums))

    def along(values: NDArray[np.floating]) -> Floats:
        rest = sums.ndim - 2
        return values.astype(np.float64).reshape(-1, *[1] * rest) if rest else values.ravel()

    factors = scales * np.float32(scale)
    per_pixel = factors.size != sums.shape[1]  # a transposed convolution of one pixel
    products = sums * (factors.astype(np.float64) if per_pixel else along(factors))
    offset = 0.0 if bias is None else along(bias)
    return Numbers(products + offset, 2 * UNIT * (np.abs(products) + np.abs(offset)))
