"""Has a generator learned its training images by heart? Nearest training images of samples.

A generator that copies makes samples that are nearer to a training image than held-out images are
(the nearest-neighbour test of Goodfellow et al. 2014, section 5, with a scale beside it).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError

_ROWS = 4096


@dataclass(frozen=True)
class Nearest:
    """For each of n images the training image nearest to it.

    `rows` int64 [n] are places among the training images, `distances` float64 [n] root mean square
    differences in levels of 255.
    """

    rows: NDArray[np.int64]
    distances: NDArray[np.float64]


def nearest(images: NDArray[np.uint8], training: NDArray[np.uint8]) -> Nearest:
    """Search the training images [m, H, W, C] for the nearest to each of images [n, H, W, C].

    Exact: candidates by float32 products, distances from the levels. Raises DataError for images of
    another shape.
    """
    if images.shape[1:] != training.shape[1:]:
        raise DataError(
            f"images are {_size(images.shape)} and training images {_size(training.shape)}"
        )
    values = images[0].size
    # Centred, so that float32 loses little.
    points = images.reshape(len(images), values).astype(np.float32) - 128
    best = np.full(len(images), np.inf, np.float32)
    rows = np.zeros(len(images), np.int64)
    for start in range(0, len(training), _ROWS):
        block = training[start : start + _ROWS].reshape(-1, values).astype(np.float32) - 128
        # ‖a - b‖² without ‖a‖², which is the same for all b.
        squares = np.einsum("ij,ij->i", block, block) - 2 * (points @ block.T)
        candidate = squares.argmin(1)
        value = squares[np.arange(len(images)), candidate]
        better = value < best
        best[better], rows[better] = value[better], start + candidate[better]
    return Nearest(rows, _distances(images, training[rows]))


def copied_share(
    samples: Nearest, held_out: Nearest, quantile: float = 0.01
) -> tuple[float, float]:
    """Share of samples nearer to training images than all but `quantile` of held-out images are.

    Returns the share and the distance below which a sample counts. A generator that copies nothing
    comes out near `quantile`; one that copies everything at 1.
    """
    least = float(np.quantile(held_out.distances, quantile))
    return float((samples.distances <= least).mean()), least


def _distances(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float64]:
    difference = one.reshape(len(one), -1).astype(np.float64) - other.reshape(len(one), -1)
    return np.sqrt(np.square(difference).mean(1))


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape[1:]))


__all__ = ["Nearest", "copied_share", "nearest"]
