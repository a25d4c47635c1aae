"""Masks for free-form inpainting: rectangles and brush strokes.

Yu et al., "Free-Form Image Inpainting with Gated Convolution", ICCV 2019.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from zoo.corruption.uniform import uniforms
from zoo.errors import ConfigError

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]

STREAM = 68
LEAST, MOST = 0.10, 0.40
"""Bounds of the hidden share of an image, which is uniformly distributed."""

SMALLEST = 8
RECTANGLES, STROKES, SEGMENTS = 2, 3, 2
_NUMBERS = 3 + 4 * RECTANGLES + STROKES * (3 + 2 * SEGMENTS)
_FAR = np.float32(1e4)


def holes(n: int, height: int, width: int, seed: int, first: int = 0) -> Images:
    """Draw the masks of images first … first + n - 1: [n, H, W, 1], 255 known and 0 hidden.

    Each has one or two rectangles and one to three strokes with round ends, scaled together
    until they cover the image's share of the area. Only exactly rounded operations are used.
    Raises ConfigError for less than 8×8 pixels, and ArgumentError.
    """
    if min(height, width) < SMALLEST:
        raise ConfigError(
            f"holes: expected at least {SMALLEST}×{SMALLEST} pixels, got {height}×{width}"
        )
    side = min(height, width)
    # Pixel centres in units of the shorter side.
    y = ((np.arange(height, dtype=np.float32) + np.float32(0.5)) / np.float32(side))[None, :, None]
    x = ((np.arange(width, dtype=np.float32) + np.float32(0.5)) / np.float32(side))[None, None, :]
    numbers = uniforms(seed, first, n, _NUMBERS, STREAM).astype(np.float32)
    columns = iter(numbers.T[..., None, None])
    share, rectangles, strokes = (next(columns) for _ in range(3))
    # The squared scale at which a shape reaches each pixel.
    reached = np.full((n, height, width), np.inf, np.float32)
    for index in range(RECTANGLES):
        _rectangle(reached, x, y, columns, _FAR * (rectangles * RECTANGLES < index))
    for index in range(STROKES):
        _stroke(reached, x, y, columns, _FAR * (strokes * STROKES < index))
    hidden = _select_hidden(reached.reshape(n, -1), LEAST + (MOST - LEAST) * share.reshape(n))
    return np.where(hidden, np.uint8(0), np.uint8(255)).reshape(n, height, width, 1)


def _rectangle(
    reached: Floats, x: Floats, y: Floats, numbers: Iterator[Floats], shift: Floats
) -> None:
    """Lower `reached` to a rectangle's maximum norm, unless `shift` moves it out of the image."""
    half_x, half_y = (np.float32(0.08) + np.float32(0.18) * next(numbers) for _ in range(2))
    across = (x - (next(numbers) * x[..., -1:] + shift)) / half_x
    down = (y - next(numbers) * y[:, -1:]) / half_y
    np.minimum(reached, np.maximum(across * across, down * down), out=reached)


def _stroke(
    reached: Floats, x: Floats, y: Floats, numbers: Iterator[Floats], shift: Floats
) -> None:
    """Lower `reached` to the distance from a polyline, in units of the stroke's radius."""
    radius = np.float32(0.04) + np.float32(0.06) * next(numbers)
    from_x = next(numbers) * x[..., -1:] + shift
    from_y = next(numbers) * y[:, -1:]
    turn_x = turn_y = np.zeros_like(radius)
    for _ in range(SEGMENTS):
        # Half of the previous direction carries over, for smooth turns.
        turn_x = turn_x / 2 + np.float32(0.9) * (next(numbers) - np.float32(0.5))
        turn_y = turn_y / 2 + np.float32(0.9) * (next(numbers) - np.float32(0.5))
        length = np.sqrt(turn_x * turn_x + turn_y * turn_y) + np.float32(1e-6)
        unit_x, unit_y = turn_x / (length * radius), turn_y / (length * radius)
        middle_x, middle_y = from_x + turn_x / 2, from_y + turn_y / 2
        # Distance beyond the segment's ends, and across it.
        along = (x - middle_x) * unit_x + (y - middle_y) * unit_y
        np.abs(along, out=along)
        along -= length / (2 * radius)
        np.maximum(along, np.float32(0), out=along)
        across = (y - middle_y) * unit_x - (x - middle_x) * unit_y
        along *= along
        across *= across
        across += along
        np.minimum(reached, across, out=reached)
        from_x, from_y = from_x + turn_x, from_y + turn_y


def _select_hidden(reached: Floats, share: Floats) -> NDArray[np.bool_]:
    """Return the pixels [n, H·W] that are reached first, at least `share` of them if possible.

    A whole edge of a rectangle is reached at once; it is left out if it would exceed MOST.
    """
    pixels = reached.shape[1]
    hidden = np.empty(reached.shape, np.bool_)
    for row, part, out in zip(reached, share.tolist(), hidden, strict=True):
        count = math.ceil(part * pixels)
        limit = np.partition(row, count - 1)[count - 1]
        np.less_equal(row, limit, out=out)
        if np.count_nonzero(out) > MOST * pixels:
            np.less(row, limit, out=out)
    return hidden
