"""Which classes a generator makes: the histogram of its images' classes, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError

LEAST = 10
"""A class is covered if samples fall into it at least at one tenth of the rate of real images."""


@dataclass(frozen=True)
class Histogram:
    """How many images a classifier puts into each class, [K]."""

    counts: NDArray[np.int64]

    @property
    def shares(self) -> NDArray[np.float64]:
        """The share of each class; they add up to 1."""
        return self.counts / self.counts.sum()

    @property
    def entropy(self) -> float:
        """Entropy of the shares in nats: log K if all are equal, 0 for a single class."""
        shares = self.shares[self.counts > 0]
        return float(-(shares * np.log(shares)).sum()) + 0.0

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram(self.counts + other.counts)


def histogram(probabilities: NDArray[np.floating]) -> Histogram:
    """Histogram of the most probable classes of images with probabilities [N, K]."""
    if probabilities.ndim != 2 or not len(probabilities):
        raise DataError(f"probabilities: expected [N, K], got {list(probabilities.shape)}")
    classes = probabilities.argmax(1)
    return Histogram(np.bincount(classes, minlength=probabilities.shape[1]).astype(np.int64))


def covered(samples: Histogram, real: Histogram) -> NDArray[np.bool_]:
    """Which of the classes that real images have are covered by the samples (`LEAST`)."""
    _check(samples, real)
    there = real.counts > 0
    # In integers: a share on the border is in.
    rates = samples.counts * real.counts.sum() * LEAST, real.counts * samples.counts.sum()
    covers: NDArray[np.bool_] = (rates[0] >= rates[1])[there]
    return covers


def coverage(samples: Histogram, real: Histogram) -> float:
    """The share of the classes of real images that samples cover: 1 when no mode was dropped."""
    return float(covered(samples, real).mean())


def divergence(samples: Histogram, real: Histogram) -> float:
    """KL(samples ‖ real) of the class shares in nats: 0 for the same, infinite for a class that no
    real image has.
    """
    _check(samples, real)
    p, q = samples.shares, real.shares
    there = p > 0
    if (q[there] == 0).any():
        return float("inf")
    return max(float((p[there] * np.log(p[there] / q[there])).sum()), 0.0)


def _check(samples: Histogram, real: Histogram) -> None:
    if samples.counts.shape != real.counts.shape:
        raise DataError(
            f"expected histograms of as many classes, got {len(samples.counts)} and "
            f"{len(real.counts)}"
        )


__all__ = ["LEAST", "Histogram", "coverage", "covered", "divergence", "histogram"]
