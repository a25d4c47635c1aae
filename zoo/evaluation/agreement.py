"""How well clusters agree with classes that they were not told of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ConfigError
from zoo.optional import require

Labels = NDArray[np.int64]


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


__all__ = ["Scores", "contingency", "scores"]
