"""k-means on latents, and how well clusters agree with classes that they were not told of."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ConfigError
from zoo.optional import require

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Clusters:
    """k clusters of n vectors, the largest first.

    assignment: int64 [n], the cluster of each vector; centres: float32 [k, D], the
    means of the members, in the units of the vectors; distances: float64 [n], from
    each vector to its centre, and inertia: the sum of their squares, both in the
    space where k-means ran (of the standardised vectors, where they were).
    """

    assignment: Labels
    centres: NDArray[np.float32]
    distances: NDArray[np.float64]
    inertia: float

    def members(self, cluster: int) -> Labels:
        """Indices of the members of a cluster, the nearest to its centre first."""
        inside = np.flatnonzero(self.assignment == cluster)
        return inside[np.argsort(self.distances[inside], kind="stable")]


@dataclass(frozen=True)
class Scores:
    """Agreement of clusters and classes, each at most 1.

    accuracy: share of the images whose cluster stands for their class, every
    cluster standing for at most one class and every class for at most one cluster,
    in the best of all such ways (Kuhn, "The Hungarian method", 1955; for
    clustering Xie et al., ICML 2016, equation 10). nmi: mutual information over the
    arithmetic mean of both entropies. ari: Rand index adjusted for chance
    (Hubert & Arabie 1985), 0 on average for a random assignment.
    """

    accuracy: float
    nmi: float
    ari: float


def kmeans(
    vectors: NDArray[Any], k: int, seed: int = 0, restarts: int = 10, standardise: bool = False
) -> Clusters:
    """The best of `restarts` runs of k-means on vectors [n, D], by the sum of squared distances.

    k-means++ beginnings (Arthur & Vassilvitskii, SODA 2007) from `seed` (32 bits), Lloyd's
    iterations. `standardise` gives every dimension mean 0 and variance 1 first. Raises
    ConfigError for a k above the number of different vectors.
    """
    points = _checked(vectors)
    if not 1 <= k <= len(points):
        raise ConfigError(f"k: expected 1 to {len(points)}, the number of images, got {k}")
    if standardise:
        spread = points.std(axis=0, dtype=np.float64)
        points = (points - points.mean(axis=0, dtype=np.float64)) / np.where(spread, spread, 1)
    cluster = require("sklearn.cluster")
    with warnings.catch_warnings():
        # That there are fewer different vectors than clusters is said below.
        warnings.simplefilter("ignore")
        found = cluster.KMeans(k, n_init=restarts, random_state=seed).fit(points)
    sizes = np.bincount(found.labels_, minlength=k)
    if not sizes.all():
        raise ConfigError(
            f"k: expected at most {np.count_nonzero(sizes)}, the number of different images, "
            f"got {k}"
        )
    order = np.argsort(-sizes, kind="stable")
    assignment = np.argsort(order)[found.labels_].astype(np.int64)
    to_centre = points - found.cluster_centers_[found.labels_]
    return Clusters(
        assignment=assignment,
        centres=np.stack(
            [vectors[assignment == i].mean(axis=0, dtype=np.float64) for i in range(k)]
        ).astype(np.float32),
        distances=np.sqrt(np.square(to_centre, dtype=np.float64).sum(axis=1)),
        inertia=float(found.inertia_),
    )


def contingency(labels: NDArray[Any], assignment: Labels) -> Labels:
    """How many images of each class are in each cluster: int64 [classes, clusters]."""
    counts = np.zeros((int(labels.max()) + 1, int(assignment.max()) + 1), np.int64)
    np.add.at(counts, (labels, assignment), 1)
    return counts


def scores(labels: NDArray[Any], assignment: Labels) -> Scores:
    """Scores of an assignment int64 [n] to clusters, given the classes int64 [n], both from 0.

    Raises ConfigError for different lengths.
    """
    if labels.shape != assignment.shape or labels.ndim != 1 or not len(labels):
        raise ConfigError(
            f"labels: expected as many as the assignment has, {list(assignment.shape)}, "
            f"got {list(labels.shape)}"
        )
    metrics, optimize = require("sklearn.metrics"), require("scipy.optimize")
    counts = contingency(labels, assignment)
    rows, columns = optimize.linear_sum_assignment(counts, maximize=True)
    return Scores(
        accuracy=float(counts[rows, columns].sum() / len(labels)),
        nmi=float(metrics.normalized_mutual_info_score(labels, assignment)),
        ari=float(metrics.adjusted_rand_score(labels, assignment)),
    )


def _checked(vectors: NDArray[Any]) -> NDArray[np.float32]:
    points = np.asarray(vectors)
    if points.ndim != 2 or 0 in points.shape:
        raise ConfigError(f"vectors: expected shape (n, D), got {points.shape}")
    if not np.isfinite(points).all():
        raise ConfigError("vectors: expected finite numbers, got NaN or infinity")
    return np.ascontiguousarray(points, dtype=np.float32)


__all__ = ["Clusters", "Scores", "contingency", "kmeans", "scores"]
