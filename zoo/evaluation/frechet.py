"""Fréchet distance between two sets of features, known as FID for those of Inception.

Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
Equilibrium" (arXiv:1706.08500), equation 6; Dowson & Landau 1982 for two Gaussians.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Gaussian:
    """Mean [F] and unbiased covariance [F, F] of `count` features."""

    count: int
    mean: Vector
    covariance: Matrix


class Moments:
    """Accumulator of the mean and covariance of batches of features, in float64.

    Batches are merged by the pairwise update of Chan, Golub & LeVeque 1983, which is accurate for
    means far from zero.
    """

    def __init__(self, width: int) -> None:
        self.count = 0
        self._mean = np.zeros(width)
        self._scatter = np.zeros((width, width))

    def add(self, features: NDArray[np.floating]) -> None:
        """Add features [N, F]. Raises `DataError` for another width or non-finite values."""
        if features.ndim != 2 or features.shape[1] != len(self._mean):
            raise DataError(
                f"features: expected [N, {len(self._mean)}], got {list(features.shape)}"
            )
        if not len(features):
            return
        rows = features.astype(np.float64)
        if not np.isfinite(rows).all():
            raise DataError("features: expected finite numbers, got NaN or infinity")
        mean = rows.mean(0)
        rows -= mean
        total = self.count + len(rows)
        step = mean - self._mean
        self._scatter += rows.T @ rows
        self._scatter += np.outer(step, step) * (self.count * len(rows) / total)
        self._mean = self._mean + step * (len(rows) / total)
        self.count = total

    def gaussian(self) -> Gaussian:
        """Return the moments so far. Raises `DataError` for fewer than two features."""
        if self.count < 2:
            raise DataError(f"a covariance needs at least 2 images, got {self.count}")
        return Gaussian(self.count, self._mean.copy(), self._scatter / (self.count - 1))


def fit(features: NDArray[np.floating]) -> Gaussian:
    """Fit a Gaussian to features [N, F]. Raises `DataError` as `Moments`."""
    if features.ndim != 2:
        raise DataError(f"features: expected [N, F], got {list(features.shape)}")
    moments = Moments(features.shape[1])
    moments.add(features)
    return moments.gaussian()


def distance(one: Gaussian, other: Gaussian) -> float:
    """Return ‖μ₁ - μ₂‖² + tr Σ₁ + tr Σ₂ - 2 tr (Σ₁ Σ₂)^½, at least 0.

    With factors Σᵢ = LᵢLᵢᵀ the last trace is the sum of the singular values of L₁ᵀL₂. This is
    accurate for covariances of rank N < F (fewer images than features): the distance of a set from
    itself is zero up to rounding. Raises `DataError` for different widths.
    """
    if one.mean.shape != other.mean.shape:
        raise DataError(f"features: expected one width, got {len(one.mean)} and {len(other.mean)}")
    step = one.mean - other.mean
    trace = np.linalg.svd(_factor(one).T @ _factor(other), compute_uv=False).sum()
    total = step @ step + np.trace(one.covariance) + np.trace(other.covariance) - 2 * trace
    return max(float(total), 0.0)


def _factor(gaussian: Gaussian) -> Matrix:
    """Return L [F, R] with LLᵀ equal to the covariance."""
    values, vectors = np.linalg.eigh(gaussian.covariance)
    kept = values > values[-1] * len(values) * np.finfo(np.float64).eps
    factor: Matrix = vectors[:, kept] * np.sqrt(values[kept])
    return factor
