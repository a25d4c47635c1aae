"""The manifold of one garment's translations: a curve in the space of images, and its tangent.

Goodfellow, Bengio & Courville, Deep Learning, 2016, figure 14.6.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import shift

from zoo import data
from zoo.applications.tangents import picture

from . import charts
from .charts import BLUE, RED

SNEAKER = 7
MOST = 8.0
"""Largest translation up and down, in pixels."""


def translate(image: np.ndarray, down: float) -> np.ndarray:
    """Return an image float [H, W] moved down by a number of pixels, between them by splines."""
    return shift(image, (down, 0), order=3, mode="grid-constant")


def trace(image: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Return the image moved by each of S distances, as vectors [S, H·W]."""
    return np.stack([translate(image, distance).ravel() for distance in distances])


def tangent(image: np.ndarray, down: float = 0.0, step: float = 0.05) -> np.ndarray:
    """Return the derivative of `translate` by the distance, [H, W], by central differences."""
    ahead, behind = translate(image, down + step), translate(image, down - step)
    return (ahead - behind) / (2 * step)


def draw(path: Path) -> None:
    """Draw the curve by its first two principal components, the tangent, and its picture."""
    clothes = data.load("fashion-mnist").test
    garment = clothes.images[np.flatnonzero(np.asarray(clothes.labels) == SNEAKER)[0]]
    image = garment[..., 0] / 255
    distances = np.linspace(-MOST, MOST, 129)
    curve = trace(image, distances)
    mean = curve.mean(0)
    _, values, axes = np.linalg.svd(curve - mean, full_matrices=False)
    share = (values[:2] ** 2).sum() / (values**2).sum()
    points = (curve - mean) @ axes[:2].T
    slope = tangent(image)
    direction = slope.ravel() @ axes[:2].T

    figure, ((plane, column, change),) = charts.canvas(
        9.6, 4.6, 1, 3, gridspec_kw={"width_ratios": [4, 1.4, 1.4]}
    )
    plane.plot(*points.T, color=BLUE)
    here = points[len(points) // 2]
    for sign in (-1, 1):
        plane.plot(*np.stack([here, here + sign * 2.5 * direction]).T, color=RED, lw=2)
    plane.plot(*here, "o", color=RED)
    middle = points.mean(0)
    for distance in (-8, -4, -2, 0, 2, 4, 8):
        row = int(np.argmin(np.abs(distances - distance)))
        away = points[row] - middle
        away = (-58 if distance in (-8, 0, 8) else 58) * away / np.linalg.norm(away)
        tile = np.rint(255 * translate(image, distance)).clip(0, 255).astype(np.uint8)[..., None]
        plane.plot(*points[row], ".", color=BLUE)
        charts.place_image(
            plane, tile, tuple(points[row]), xybox=tuple(away), boxcoords="offset points",
            arrowprops={"arrowstyle": "-", "color": charts.GREY, "lw": 0.6},
            color=RED if distance == 0 else charts.GREY, zoom=2,
        )  # fmt: skip
    plane.margins(0.4, 0.28)
    plane.set(
        xlabel="principal component 1",
        ylabel="principal component 2",
        title=f"translations by ±{MOST:g} pixels, {share:.0%} of the variance",
    )
    column.imshow(image, cmap="gray", vmin=0, vmax=1)
    column.set_title("image, not moved", fontsize=10)
    change.imshow(picture(slope[..., None])[..., 0], cmap="gray", vmin=0, vmax=255)
    change.set_title("tangent there", fontsize=10)
    charts.hide_ticks(column)
    charts.hide_ticks(change)
    charts.save(figure, path)
