"""Agreement of clusters with classes."""

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

    accuracy: share of images whose cluster is matched to their class, in the best one-to-one
    matching (Kuhn, "The Hungarian method", 1955; for clustering Xie et al., ICML 2016, equation
    10). nmi: mutual information over the arithmetic mean of both entropies. ari: Rand index
    adjusted for chance (Hubert & Arabie 1985), 0 on average for a random assignment.
    """

    accuracy: float
    nmi: float
    ari: float


def contingency(labels: NDArray[Any], assignment: Labels) -> Labels:
    """Count the images of each class in each cluster: int64 [classes, clusters]."""
    counts = np.zeros((int(labels.max()) + 1, int(assignment.max()) + 1), np.int64)
    np.add.at(counts, (labels, assignment), 1)
    return counts


def scores(labels: NDArray[Any], assignment: Labels) -> Scores:
    """Score an assignment int64 [n] to clusters by the classes int64 [n], both from 0.

    Raises ConfigError for different lengths.
    """
    if labels.shape != assignment.shape or labels.ndim != 1 or not len(labels):
        raise ConfigError(
            f"labels: expected the assignment's shape {list(assignment.shape)}, "
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
