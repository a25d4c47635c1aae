"""Precision and recall of generated images, and density and coverage: quality apart from variety.

A set of images stands for the region within its members' distances to their k-th nearest
neighbours. Precision is the share of generated images in the region of the real ones, recall the
share of real images in that of the generated ones (Kynkäänniemi et al. 2019, arXiv:1904.06991,
equations 1 to 3). Density counts in how many real neighbourhoods a generated image is, and coverage
is the share of real images with a generated one in their neighbourhood (Naeem et al. 2020,
arXiv:2002.09797, equations 3 and 5), which outliers disturb less.
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
    """The four numbers; all but density, which may be above 1, are shares."""

    precision: float
    recall: float
    density: float
    coverage: float


class Manifold:
    """The region of real features [M, F], with the radii of their neighbourhoods.

    Exact, over all pairs, with memory for a thousand rows of distances. Raises `DataError` for
    fewer images than neighbours; so does `compare`, and for features of another width.
    """

    def __init__(self, real: Features) -> None:
        _check("real", real, real.shape[-1])
        # Centred, so that float32 loses little.
        self._centre = real.mean(0, dtype=np.float64)
        self._real = self._centred(real)
        self._radii = _radii(self._real, (NEIGHBOURS, DENSITY_NEIGHBOURS))

    def compare(self, generated: Features) -> Manifolds:
        """Measure features of generated images [N, F]."""
        _check("generated", generated, self._real.shape[1])
        fake = self._centred(generated)
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

    def _centred(self, features: Features) -> NDArray[np.float32]:
        return (features - self._centre).astype(np.float32)


def _check(name: str, features: Features, width: int) -> None:
    if features.ndim != 2 or features.shape[1] != width:
        raise DataError(f"{name} features: expected [N, {width}], got {list(features.shape)}")
    if len(features) <= DENSITY_NEIGHBOURS:
        raise DataError(
            f"precision and recall need more than {DENSITY_NEIGHBOURS} images, got {len(features)}"
        )


def _radii(points: NDArray[np.float32], neighbours: tuple[int, ...]) -> NDArray[np.float32]:
    """Squared distances to the k-th nearest other point, for each k: [k's, N]."""
    radii = np.empty((len(neighbours), len(points)), np.float32)
    for start in range(0, len(points), _ROWS):
        squares = _squares(points[start : start + _ROWS], points)
        rows = np.arange(len(squares))
        squares[rows, start + rows] = np.inf
        places = [k - 1 for k in neighbours]
        radii[:, start + rows] = np.partition(squares, places, axis=1)[:, places].T
    return radii


def _squares(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared distances [N, M], at least 0."""
    squares = one @ other.T
    squares *= -2
    squares += np.einsum("ij,ij->i", one, one)[:, None]
    squares += np.einsum("ij,ij->i", other, other)
    return np.maximum(squares, 0, out=squares)


__all__ = ["DENSITY_NEIGHBOURS", "NEIGHBOURS", "Manifold", "Manifolds"]
