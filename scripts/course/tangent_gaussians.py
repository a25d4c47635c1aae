"""Density of data near a curve, from a Gaussian on the tangent of every example.

Manifold Parzen windows (Vincent & Bengio, NIPS 2002): the covariance at an example is long along
the directions to its neighbours and short across; Deep Learning, 2016, section 14.6.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
from scipy.special import logsumexp
from sklearn.neighbors import NearestNeighbors

from . import charts

NEIGHBOURS = 6
WIDTHS = np.geomspace(0.02, 0.8, 14)
"""Standard deviations that are tried."""


def spiral(count: int, seed: int, noise: float = 0.04) -> np.ndarray:
    """Return points [count, 2] near a spiral of one and a half turns."""
    random = np.random.default_rng(seed)
    angle = np.pi * (0.6 + 3 * np.sqrt(random.random(count)))
    curve = angle[:, None] / (3.6 * np.pi) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return 2 * curve + noise * random.normal(size=(count, 2))


def tangent_frames(points: np.ndarray, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """Return at each of n points [n, 2] the unit tangent and normal, rows of [n, 2, 2].

    The tangent is the first principal direction of the differences to the nearest neighbours.
    """
    search = NearestNeighbors(n_neighbors=neighbours).fit(points)
    near = search.kneighbors(return_distance=False)
    differences = points[near] - points[:, None]
    return np.linalg.svd(differences, full_matrices=False)[2]


def log_density(
    places: np.ndarray, points: np.ndarray, frames: np.ndarray, widths: tuple[float, float]
) -> np.ndarray:
    """Return log p [m] at places [m, 2] of the mean of a Gaussian at each of n points [n, 2].

    Its standard deviations along the rows of `frames` [n, 2, 2] are `widths`.
    """
    offsets = np.einsum("nij,mnj->mni", frames, places[:, None] - points) / np.array(widths)
    exponents = -0.5 * np.square(offsets).sum(2)
    constant = np.log(2 * np.pi * widths[0] * widths[1] * len(points))
    return logsumexp(exponents, axis=1) - constant


def choose_widths(
    validation: np.ndarray, points: np.ndarray, frames: np.ndarray, round_ones: bool
) -> tuple[float, float]:
    """Return the standard deviations of the highest likelihood on validation points [m, 2]."""
    pairs = [(a, b) for a, b in product(WIDTHS, WIDTHS) if (a == b if round_ones else a >= b)]
    return max(pairs, key=lambda pair: log_density(validation, points, frames, pair).mean())


def draw(path: Path) -> None:
    """Draw both densities, with the likelihood of points that neither has seen."""
    points, validation, test = (spiral(count, seed) for seed, count in enumerate((80, 400, 4000)))
    frames = tangent_frames(points)
    side = np.linspace(-2.2, 2.2, 300)
    places = np.stack(np.meshgrid(side, side), axis=2).reshape(-1, 2)
    figure, (panels,) = charts.canvas(9, 5, 1, 2)
    for axes, round_ones in zip(panels, (True, False), strict=True):
        widths = choose_widths(validation, points, frames, round_ones)
        levels = np.exp(log_density(places, points, frames, widths)).reshape(len(side), -1)
        score = log_density(test, points, frames, widths).mean()
        axes.contourf(
            side,
            side,
            levels,
            np.linspace(0, np.quantile(levels, 0.997), 13),
            cmap="Blues",
            extend="max",
        )
        axes.set_aspect("equal")
        axes.plot(*points.T, ".", color="black", ms=3)
        if round_ones:
            title = f"round Gaussians, σ = {widths[0]:.2f}"
        else:
            title = f"on tangents, σ = {widths[0]:.2f} along, {widths[1]:.2f} across"
        axes.set_title(f"{title}\n{score:.2f} nats per test point".replace("-", "−"), fontsize=10)
        axes.set_xlabel("x₁")
    panels[0].set_ylabel("x₂")
    charts.save(figure, path, colours=64)
