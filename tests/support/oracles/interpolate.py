"""Paths between latent vectors in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def linear(a: ArrayLike, b: ArrayLike, t: ArrayLike) -> NDArray[np.float64]:
    """h = a + (b - a) t: [N, D], [N, D], [S] to [N, S, D]."""
    start, end = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.stack([start * (1 - s) + end * s for s in np.asarray(t, np.float64)], axis=1)


def spherical(a: ArrayLike, b: ArrayLike, t: ArrayLike) -> NDArray[np.float64]:
    """Slerp by rotation in the plane of a and b (Shoemake, SIGGRAPH 1985), for |a| = |b|.

    h = a cos(t w) + c |a| sin(t w), c being the unit vector in that plane at a
    right angle to a, on the side of b; w is the angle between a and b.
    """
    starts, ends = np.asarray(a, np.float64), np.asarray(b, np.float64)
    rows = []
    for start, end in zip(starts, ends, strict=True):
        length = np.linalg.norm(start)
        away = end - start * (start @ end) / length**2
        angle = np.arctan2(np.linalg.norm(away), start @ end / length)
        across = away / np.linalg.norm(away) * length
        rows.append([start * np.cos(s * angle) + across * np.sin(s * angle) for s in np.asarray(t)])
    return np.array(rows)
