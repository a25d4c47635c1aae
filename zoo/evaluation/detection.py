"""Metrics of anomaly detection by scores."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ConfigError
from zoo.optional import require


def threshold(normal_scores: NDArray[Any], fpr: float) -> float:
    """Return the smallest t such that the share of normal scores > t is at most `fpr`.

    Raises ConfigError for an fpr outside of [0, 1), and for missing or non-finite scores.
    """
    count = len(normal_scores)
    if not 0 <= fpr < 1:
        raise ConfigError(f"fpr: expected at least 0 and less than 1, got {fpr:g}")
    if not count or not np.isfinite(normal_scores).all():
        raise ConfigError("normal_scores: expected at least one, and finite numbers")
    allowed = min(math.floor(fpr * count), count - 1)
    # Correct for the rounding of fpr * count, so that allowed / count <= fpr holds exactly.
    while allowed + 1 < count and (allowed + 1) / count <= fpr:
        allowed += 1
    while allowed / count > fpr:
        allowed -= 1
    return float(np.sort(normal_scores)[count - 1 - allowed])


def roc_auc(anomaly_scores: NDArray[Any], anomalous: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve for scores and labels, both [n].

    It is the probability that an anomalous image scores higher than a normal one; ties count half.
    Raises ConfigError unless there are both anomalous and normal images.
    """
    if anomaly_scores.shape != anomalous.shape or anomalous.all() or not anomalous.any():
        raise ConfigError(
            "anomalous: expected one truth value per score, some true and some false, got "
            f"{np.count_nonzero(anomalous)} true of {anomalous.size} for {anomaly_scores.size}"
        )
    return float(require("sklearn.metrics").roc_auc_score(anomalous, anomaly_scores))


def true_positive_rate(anomalous_scores: NDArray[Any], limit: float) -> float:
    """Return the share of anomalous scores above the threshold `limit`."""
    return float(np.mean(np.asarray(anomalous_scores) > limit))
