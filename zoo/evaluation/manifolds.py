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


def compare(generated: Features, real: Features) -> Manifolds:
    """Measure features of generated and of real images, [N, F] and [M, F].

    Exact, over all pairs, with N·M distances but memory for a thousand rows of them. Raises
    `DataError` for fewer images than neighbours, or sets of two widths.
    """
    least = DENSITY_NEIGHBOURS + 1
    for name, rows in (("generated", generated), ("real", real)):
        if rows.ndim != 2 or rows.shape[1] != real.shape[1]:
            raise DataError(f"{name} features: expected [N, F], got {list(rows.shape)}")
        if len(rows) < least:
            raise DataError(f"precision and recall need at least {least} images, got {len(rows)}")
    # Centred, so that float32 loses little.
    centre = real.mean(0, dtype=np.float64)
    fake, true = ((rows - centre).astype(np.float32) for rows in (generated, real))
    fake_radii = _radii(fake, (NEIGHBOURS,))
    true_radii = _radii(true, (NEIGHBOURS, DENSITY_NEIGHBOURS))
    inside = inside_count = 0
    nearest = np.full(len(true), np.inf, np.float32)
    recalled = np.zeros(len(true), bool)
    for start in range(0, len(fake), _ROWS):
        block = fake[start : start + _ROWS]
        squares = _squares(block, true)
        inside += int((squares <= true_radii[0]).any(1).sum())
        inside_count += int((squares <= true_radii[1]).sum())
        nearest = np.minimum(nearest, squares.min(0))
        recalled |= (squares <= fake_radii[0, start : start + _ROWS, None]).any(0)
    return Manifolds(
        precision=inside / len(fake),
        recall=float(recalled.mean()),
        density=inside_count / (DENSITY_NEIGHBOURS * len(fake)),
        coverage=float((nearest <= true_radii[1]).mean()),
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


__all__ = ["DENSITY_NEIGHBOURS", "NEIGHBOURS", "Manifolds", "compare"]
