"""Histogram of the classes that a generator makes, and its coverage of real classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError

LEAST = 10
"""A class is covered if its share of samples is at least one tenth of that of real images."""


@dataclass(frozen=True)
class Histogram:
    """Number of images that a classifier assigns to each class, [K]."""

    counts: NDArray[np.int64]

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of each class."""
        return self.counts / self.counts.sum()

    @property
    def entropy(self) -> float:
        """Entropy of the shares in nats, log K if all are equal and 0 for a single class."""
        shares = self.shares[self.counts > 0]
        return float(-(shares * np.log(shares)).sum()) + 0.0

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram(self.counts + other.counts)


def histogram(probabilities: NDArray[np.floating]) -> Histogram:
    """Count the most probable classes of images with probabilities [N, K]."""
    if probabilities.ndim != 2 or not len(probabilities):
        raise DataError(f"probabilities: expected [N, K], got {list(probabilities.shape)}")
    classes = probabilities.argmax(1)
    return Histogram(np.bincount(classes, minlength=probabilities.shape[1]).astype(np.int64))


def covered_classes(samples: Histogram, real: Histogram) -> NDArray[np.bool_]:
    """Return True for each class of real images that the samples cover (see `LEAST`)."""
    _check(samples, real)
    # Integers compare shares on the threshold exactly.
    rates = samples.counts * real.counts.sum() * LEAST, real.counts * samples.counts.sum()
    return np.greater_equal(*rates)[real.counts > 0]


def coverage(samples: Histogram, real: Histogram) -> float:
    """Return the share of the classes of real images that samples cover."""
    return float(covered_classes(samples, real).mean())


def divergence(samples: Histogram, real: Histogram) -> float:
    """Return KL(samples ‖ real) of the class shares in nats, infinite for classes not in `real`."""
    _check(samples, real)
    p, q = samples.shares, real.shares
    present = p > 0
    if (q[present] == 0).any():
        return float("inf")
    return max(float((p[present] * np.log(p[present] / q[present])).sum()), 0.0)


def _check(samples: Histogram, real: Histogram) -> None:
    if samples.counts.shape != real.counts.shape:
        raise DataError(
            f"expected histograms of the same classes, got {len(samples.counts)} and "
            f"{len(real.counts)}"
        )
