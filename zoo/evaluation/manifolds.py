"""Precision, recall, density and coverage of generated images, which separate quality and variety.

A set of images spans the union of its neighbourhoods, the balls around each image that reach its
k-th nearest neighbour. Precision is the share of generated images in the region of real ones, and
recall the share of real images in that of generated ones (Kynkäänniemi et al. 2019,
arXiv:1904.06991, equations 1 to 3). Density is the mean number of real neighbourhoods around a
generated image, and coverage the share of real neighbourhoods with a generated image (Naeem et al.
2020, arXiv:2002.09797, equations 3 and 5); both are more robust to outliers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError

Features = NDArray[np.floating]

NEIGHBOURS = 3
"""k of precision and recall."""

DENSITY_NEIGHBOURS = 5
"""k of density and coverage."""

_ROWS = 1000


@dataclass(frozen=True)
class Manifolds:
    """The four metrics; all are at most 1 except density."""

    precision: float
    recall: float
    density: float
    coverage: float


class Manifold:
    """Neighbourhoods of real features [M, F].

    Distances of all pairs are computed exactly, a thousand rows at a time. The constructor and
    `compare` raise `DataError` for too few images or another width.
    """

    def __init__(self, real: Features) -> None:
        _check("real", real, real.shape[-1])
        # Centred for accuracy in float32.
        self._centre = real.mean(0, dtype=np.float64)
        self._real = self._centre_features(real)
        self._radii = _radii(self._real, (NEIGHBOURS, DENSITY_NEIGHBOURS))

    def compare(self, generated: Features) -> Manifolds:
        """Compare features [N, F] of generated images with the real ones."""
        _check("generated", generated, self._real.shape[1])
        fake = self._centre_features(generated)
        fake_radii = _radii(fake, (NEIGHBOURS,))[0]
        narrow, wide = self._radii
        inside = neighbourhoods = 0
        nearest = np.full(len(self._real), np.inf, np.float32)
        recalled = np.zeros(len(self._real), bool)
        for start in range(0, len(fake), _ROWS):
            squares = _squares(fake[start : start + _ROWS], self._real)
            inside += int((squares <= narrow).any(1).sum())
            neighbourhoods += int((squares <= wide).sum())
            nearest = np.minimum(nearest, squares.min(0))
            recalled |= (squares <= fake_radii[start : start + _ROWS, None]).any(0)
        return Manifolds(
            precision=inside / len(fake),
            recall=float(recalled.mean()),
            density=neighbourhoods / (DENSITY_NEIGHBOURS * len(fake)),
            coverage=float((nearest <= wide).mean()),
        )

    def _centre_features(self, features: Features) -> NDArray[np.float32]:
        return (features - self._centre).astype(np.float32)


def _check(name: str, features: Features, width: int) -> None:
    if features.ndim != 2 or features.shape[1] != width:
        raise DataError(f"{name} features: expected [N, {width}], got {list(features.shape)}")
    if len(features) <= DENSITY_NEIGHBOURS:
        raise DataError(
            f"precision and recall need more than {DENSITY_NEIGHBOURS} images, got {len(features)}"
        )


def _radii(points: NDArray[np.float32], neighbours: tuple[int, ...]) -> NDArray[np.float32]:
    """Return squared distances to the k-th nearest other point: [len(neighbours), N]."""
    radii = np.empty((len(neighbours), len(points)), np.float32)
    for start in range(0, len(points), _ROWS):
        squares = _squares(points[start : start + _ROWS], points)
        rows = np.arange(len(squares))
        squares[rows, start + rows] = np.inf
        places = [k - 1 for k in neighbours]
        radii[:, start + rows] = np.partition(squares, places, axis=1)[:, places].T
    return radii


def _squares(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return squared distances [N, M], at least 0."""
    squares = one @ other.T
    squares *= -2
    squares += np.einsum("ij,ij->i", one, one)[:, None]
    squares += np.einsum("ij,ij->i", other, other)
    return np.maximum(squares, 0, out=squares)
