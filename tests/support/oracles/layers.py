"""The layers of image generators in float64, and how far single precision may be from them.

Every function takes and gives `Numbers`. A rounding in single precision has a relative error of at
most u = 2^-24; a sum of K products is taken to be SPREAD · √K · u · Σ|x·w| from the exact one at
most, for roundings are as good as independent (Higham and Mary, "A New Approach to Probabilistic
Rounding Error Analysis", SIAM J. Sci. Comput. 41 (2019): √K instead of K). Errors of the operands
go through each layer by its derivative: of sums, the root of the sum of their squares does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]

UNIT = 2.0**-24
SPREAD = 4.0
FUNCTION = 4 * UNIT
"""Absolute error of a sigmoid; a few units in the last place of numbers up to 1."""


@dataclass(frozen=True)
class Numbers:
    """Exact numbers, and a bound of what single precision may make of each."""

    exact: Floats
    error: Floats

    @property
    def shape(self) -> tuple[int, ...]:
        return self.exact.shape

    def each(self, view: Callable[[Floats], Floats]) -> Numbers:
        """The same numbers, seen otherwise."""
        return Numbers(view(self.exact), view(self.error))


def given(values: NDArray[np.floating]) -> Numbers:
    """Numbers that are floats as they come."""
    exact = np.asarray(values, np.float64)
    return Numbers(exact, np.zeros_like(exact))


def rounded(exact: Floats, error: Floats, roundings: float = 1.0) -> Numbers:
    return Numbers(exact, error + roundings * UNIT * np.abs(exact))


def around(values: Floats, reach: int) -> Floats:
    """The largest of the pixels that are up to `reach` rows and columns away."""
    for axis in (2, 3):
        width = [(0, 0)] * 4
        width[axis] = (reach, reach)
        windows = sliding_window_view(np.pad(values, width), 2 * reach + 1, axis=axis)
        values = windows.max(axis=-1)
    return values


def linear(
    x: Numbers,
    weight: Floats,
    bias: Floats | None,
    terms: int,
    apply: Callable[..., Floats],
    reach: int = 0,
) -> Numbers:
    """Sums of `terms` products, formed by apply(x, weight), and the bias of the second axis.

    reach: as far away are pixels that may be computed together, so that the largest of them says
    how large an error is: minimal filtering makes tiles of 4×4 (Lavin and Gray 2016,
    arXiv:1509.09308).
    """
    offset = np.zeros(1) if bias is None else bias
    offset = offset.reshape(-1, *[1] * (x.exact.ndim - 2)) if x.exact.ndim > 2 else offset
    absolute = np.abs(weight)
    magnitude = apply(np.abs(x.exact), absolute) + np.abs(offset)
    if reach:
        magnitude = around(magnitude, reach)
    spread = SPREAD * np.sqrt(terms + 1) * UNIT
    error = np.sqrt(apply(x.error**2, weight**2)) + spread * magnitude
    return Numbers(apply(x.exact, weight) + offset, error)


def dense(x: Numbers, weight: Floats, bias: Floats | None) -> Numbers:
    """x [N, K], weight [O, K]."""
    return linear(x, weight, bias, weight.shape[1], lambda a, w: a @ w.T)


def convolve(
    x: Numbers, weight: Floats, bias: Floats | None, stride: int = 1, padding: int = 0
) -> Numbers:
    """x [N, C, H, W], weight [O, C, k, k]: the cross-correlation that networks call convolution."""
    size = weight.shape[2]

    def apply(a: Floats, w: Floats) -> Floats:
        padded = np.pad(a, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
        rows, columns = ((side - size) // stride + 1 for side in padded.shape[2:])
        result = np.zeros((len(a), len(w), rows, columns))
        for i in range(size):
            for j in range(size):
                window = padded[:, :, i::stride, j::stride][:, :, :rows, :columns]
                result += np.einsum("nchw,oc->nohw", window, w[:, :, i, j], optimize=True)
        return result

    return linear(x, weight, bias, weight[0].size, apply, reach=3)


def transpose_convolve(
    x: Numbers, weight: Floats, bias: Floats | None, stride: int, padding: int
) -> Numbers:
    """x [N, C, H, W], weight [C, O, k, k]: every input pixel adds a multiple of the kernel."""
    size = weight.shape[2]

    def apply(a: Floats, w: Floats) -> Floats:
        height, width = ((side - 1) * stride + size for side in a.shape[2:])
        result = np.zeros((len(a), w.shape[1], height, width))
        for i in range(size):
            for j in range(size):
                products = np.einsum("nchw,co->nohw", a, w[:, :, i, j], optimize=True)
                rows, columns = products.shape[2:]
                result[:, :, i::stride, j::stride][:, :, :rows, :columns] += products
        return result[:, :, padding : height - padding, padding : width - padding]

    return linear(x, weight, bias, weight.shape[0] * size**2, apply, reach=4 * stride - 1)


def blur(x: Numbers, weight: Floats, bias: Floats | None) -> Numbers:
    """A 3×3 convolution of each channel apart, with zeros around; weight [C, 1, 3, 3]."""

    def apply(a: Floats, w: Floats) -> Floats:
        padded = np.pad(a, ((0, 0), (0, 0), (1, 1), (1, 1)))
        height, width = a.shape[2:]
        return sum(
            padded[:, :, i : i + height, j : j + width] * w[:, 0, i, j].reshape(-1, 1, 1)
            for i in range(3)
            for j in range(3)
        )

    return linear(x, weight, bias, 9, apply)


def rectify(x: Numbers, slope: float) -> Numbers:
    """Leaky ReLU; its slope is a float. Where the sign is open, so is the side of the bend."""
    slope = float(np.float32(slope))
    return rounded(np.where(x.exact > 0, x.exact, slope * x.exact), x.error)


def add(a: Numbers, b: Numbers) -> Numbers:
    return rounded(a.exact + b.exact, a.error + b.error, 2)


def scale(x: Numbers, factor: float | Floats, shift: float | Floats = 0.0) -> Numbers:
    """x · factor + shift."""
    product = rounded(x.exact * factor, x.error * np.abs(factor))
    return rounded(product.exact + shift, product.error)


def multiply(a: Numbers, b: Numbers) -> Numbers:
    error = a.error * (np.abs(b.exact) + b.error) + np.abs(a.exact) * b.error
    return rounded(a.exact * b.exact, error)


def join(parts: Sequence[Numbers]) -> Numbers:
    exact = np.concatenate([part.exact for part in parts], axis=1)
    return Numbers(exact, np.concatenate([part.error for part in parts], axis=1))


def instance_norm(x: Numbers, gain: Floats, shift: Floats, epsilon: float) -> Numbers:
    """Each channel [H, W] of each image brought to mean 0 and variance 1, then scaled.

    gain and shift: [C] or [N, C]; Ulyanov et al. 2016 (arXiv:1607.08022), equation 4, with the
    variance over all pixels.
    """
    gain, shift = (value.reshape(*value.shape, 1, 1) for value in (gain, shift))
    pixels = x.exact[0, 0].size

    def mean(values: Floats) -> Floats:
        return values.mean(axis=(2, 3), keepdims=True)

    spread = SPREAD * np.sqrt(pixels + 1) * UNIT
    apart = x.exact - mean(x.exact)
    centre = np.sqrt(mean(x.error**2) / pixels) + spread * mean(np.abs(x.exact))
    error = x.error + centre + UNIT * np.abs(apart)
    variance = mean(apart**2) + epsilon
    # d(variance) = 2 · mean(apart · d(x)), and half of its share is that of the root.
    share = np.sqrt(mean((apart * error) ** 2) / pixels) + mean(error**2)
    share = share / variance + spread
    result = apart / np.sqrt(variance) * gain
    error = error / np.sqrt(variance) * np.abs(gain) + np.abs(result) * share
    return rounded(result + shift, error + 3 * UNIT * np.abs(result))


def pixel_norm(x: Numbers, epsilon: float) -> Numbers:
    """x / √(mean of x² over the channels + ε); Karras et al. 2018, section 4.2."""
    mean = (x.exact**2).mean(axis=1, keepdims=True) + epsilon
    moved = np.sqrt(((x.exact * x.error) ** 2).mean(axis=1, keepdims=True) / x.shape[1])
    moved = moved + (x.error**2).mean(axis=1, keepdims=True)
    share = moved / mean + SPREAD * np.sqrt(x.shape[1] + 1) * UNIT
    result = x.exact / np.sqrt(mean)
    return rounded(result, x.error / np.sqrt(mean) + np.abs(result) * share, 3)


def sigmoid(x: Numbers) -> Numbers:
    value = 1 / (1 + np.exp(-x.exact))
    return Numbers(value, x.error * (value * (1 - value) + x.error) + FUNCTION)


def tanh(x: Numbers) -> Numbers:
    value = np.tanh(x.exact)
    return Numbers(value, x.error * (1 - value**2 + x.error) + 2 * FUNCTION)


def softmax(x: Numbers) -> Numbers:
    powers = np.exp(x.exact - x.exact.max(axis=1, keepdims=True))
    value = powers / powers.sum(axis=1, keepdims=True)
    apart = x.error + 2 * UNIT * np.abs(x.exact)
    return rounded(value, value * 2 * apart.max(axis=1, keepdims=True), 4)


def clip(x: Numbers, low: float, high: float) -> Numbers:
    low, high = float(np.float32(low)), float(np.float32(high))
    return Numbers(np.clip(x.exact, low, high), x.error)


def levels(x: Numbers) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The lowest and the highest ⌊255 x + ½⌋ that are right."""
    error = 255 * x.error + 3 * 256 * UNIT
    whole = 255 * x.exact + 0.5
    low, high = (np.floor(whole + sign * error).astype(np.int64) for sign in (-1, 1))
    return np.clip(low, 0, 255), np.clip(high, 0, 255)
