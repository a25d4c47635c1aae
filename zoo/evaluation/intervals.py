"""Confidence intervals of shares of edits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.errors import DataError

_NORMAL = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""


@dataclass(frozen=True)
class Interval:
    """Mean of shares, and its 95 % confidence interval from `low` to `high`."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.1%} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


def interval(shares: Sequence[float], faces: Sequence[int]) -> Interval:
    """Return the mean of shares of edits, of which several may be edits of one face.

    The interval is Wilson's for the effective number m(1 - m)/v of edits (Korn & Graubard, Survey
    Methodology 24, 1998), where v is the variance of the mean m, with faces as clusters. Raises
    `DataError` without any share.
    """
    if not len(shares):
        raise DataError("expected at least one edit, got none")
    values = np.asarray(shares, np.float64)
    mean = float(values.mean())
    of_faces = np.bincount(np.unique(faces, return_inverse=True)[1], weights=values - mean)
    count = len(of_faces)
    variance = np.square(of_faces).sum() / len(values) ** 2 * count / max(count - 1, 1)
    number = mean * (1 - mean) / variance if variance > 0 else count
    scale = 1 + _NORMAL**2 / number
    centre = (mean + _NORMAL**2 / number / 2) / scale
    half = _NORMAL / scale * np.sqrt(mean * (1 - mean) / number + (_NORMAL / number / 2) ** 2)
    return Interval(mean, max(float(centre - half), 0.0), min(float(centre + half), 1.0))
