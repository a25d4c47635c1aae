"""Detection of memorised training images by nearest neighbours.

The samples of a generator that copies are nearer to a training image than held-out images are (the
nearest-neighbour test of Goodfellow et al. 2014, section 5, with held-out images for scale).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError

_ROWS = 4096


@dataclass(frozen=True)
class Nearest:
    """Nearest training images of n images.

    `rows` int64 [n] are indices of training images, `distances` float64 [n] root mean square
    differences in levels of 255.
    """

    rows: NDArray[np.int64]
    distances: NDArray[np.float64]


def nearest(images: NDArray[np.uint8], training: NDArray[np.uint8]) -> Nearest:
    """Find the training image [m, H, W, C] nearest to each of images [n, H, W, C].

    Candidates are found with float32 products; distances are computed from the levels. Raises
    DataError for different shapes.
    """
    if images.shape[1:] != training.shape[1:]:
        raise DataError(
            f"images are {_size(images.shape)}, but training images {_size(training.shape)}"
        )
    values = images[0].size
    # Centred for accuracy in float32.
    points = images.reshape(len(images), values).astype(np.float32) - 128
    best = np.full(len(images), np.inf, np.float32)
    rows = np.zeros(len(images), np.int64)
    for start in range(0, len(training), _ROWS):
        block = training[start : start + _ROWS].reshape(-1, values).astype(np.float32) - 128
        # ‖a - b‖² without ‖a‖², which does not depend on b.
        squares = np.einsum("ij,ij->i", block, block) - 2 * (points @ block.T)
        candidate = squares.argmin(1)
        value = squares[np.arange(len(images)), candidate]
        better = value < best
        best[better], rows[better] = value[better], start + candidate[better]
    return Nearest(rows, _distances(images, training[rows]))


def copied_share(
    samples: Nearest, held_out: Nearest, quantile: float = 0.01
) -> tuple[float, float]:
    """Return the share of samples within the `quantile` of held-out distances, and that distance.

    The share is near `quantile` for a generator that copies nothing, and 1 if it copies everything.
    """
    least = float(np.quantile(held_out.distances, quantile))
    return float((samples.distances <= least).mean()), least


def _distances(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float64]:
    difference = one.reshape(len(one), -1).astype(np.float64) - other.reshape(len(one), -1)
    return np.sqrt(np.square(difference).mean(1))


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape[1:]))
