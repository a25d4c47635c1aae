"""Edge images, black lines on white: thinned Sobel gradients above a threshold.

The gradient of a pixel is the largest over the channels (Dalal & Triggs 2005, section 6.2).
Lines are thinned by non-maximum suppression (Canny 1986, section VIII). All arithmetic is in
integers, so that every machine draws the same lines.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError

Images = NDArray[np.uint8]

THRESHOLD = 96
"""Minimum Sobel magnitude of an edge: a straight step of 24 levels."""


def edges(images: Images, threshold: int = THRESHOLD) -> Images:
    """Draw the edges of images uint8 [n, H, W, C]: uint8 [n, H, W, 1], 0 on an edge, else 255.

    Borders are padded by replication. Raises DataError for other arrays.
    """
    if images.ndim != 4 or images.dtype != np.uint8:
        raise DataError(f"edges: expected uint8 [n, H, W, C], got {images.dtype} {images.shape}")
    return np.concatenate([_edges(image[None], threshold) for image in images] or [images[..., :1]])


def _edges(images: Images, threshold: int) -> Images:
    padded = np.pad(images.astype(np.int32), ((0, 0), (1, 1), (1, 1), (0, 0)), "edge")
    # Weights 1, 2, 1 over three rows and three columns, then central differences.
    down = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    across = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
    x, y = down[:, :, 2:] - down[:, :, :-2], across[:, 2:] - across[:, :-2]
    squared = x * x + y * y
    steepest = squared.argmax(axis=-1)[..., None]
    x, y, squared = (np.take_along_axis(part, steepest, -1)[..., 0] for part in (x, y, squared))
    thin = _is_ridge(x, y, squared)
    return np.where(thin & (squared >= threshold**2), np.uint8(0), np.uint8(255))[..., None]


def _is_ridge(
    x: NDArray[np.int32], y: NDArray[np.int32], squared: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Return True for pixels at least as steep as both neighbours in the gradient's direction.

    The direction is rounded to one of eight neighbours, with tan 22.5° ≈ 29/70.
    """
    wide, high = np.abs(x), np.abs(y)
    flat, steep = 70 * high <= 29 * wide, 70 * wide <= 29 * high
    rising = (x > 0) == (y > 0)
    around = np.pad(squared, ((0, 0), (1, 1), (1, 1)))
    height, width = squared.shape[1:]

    def is_maximum(dy: int, dx: int) -> NDArray[np.bool_]:
        rows, columns = (slice(1 + dy, 1 + dy + height), slice(1 + dx, 1 + dx + width))
        opposite = (slice(1 - dy, 1 - dy + height), slice(1 - dx, 1 - dx + width))
        neighbours = np.maximum(around[:, rows, columns], around[:, opposite[0], opposite[1]])
        return np.greater_equal(squared, neighbours)

    diagonal = np.where(rising, is_maximum(1, 1), is_maximum(1, -1))
    return np.where(flat, is_maximum(0, 1), np.where(steep, is_maximum(1, 0), diagonal))
