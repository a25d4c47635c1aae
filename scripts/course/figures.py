"""The table of figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import (
    arithmetic,
    by_command,
    clusters,
    collapse,
    denoising_field,
    gan_1d,
    graph,
    overfitting,
    planes,
    slices,
    styles,
    tangent_gaussians,
    translation,
)

OUT = Path(__file__).resolve().parents[2] / "docs" / "gallery"

FIGURES: dict[str, Callable[[Path], None]] = {
    "denoising-field.png": denoising_field.draw,
    "translation.png": translation.draw,
    "neighbour-graph.png": graph.draw,
    "tangent-gaussians.png": tangent_gaussians.draw,
    "kmeans.png": clusters.draw,
    "planes.png": planes.draw,
    "slices.png": slices.draw,
    "posterior.png": by_command.draw_posterior,
    "faces.gif": by_command.draw_faces,
    "smile-glasses.png": by_command.draw_attributes,
    "gan-1d.png": gan_1d.draw_densities,
    "gan-convergence.png": gan_1d.draw_convergence,
    "collapse.png": collapse.draw,
    "collapse-samples.png": collapse.draw_samples,
    "overfitting.png": overfitting.draw,
    "arithmetic.png": arithmetic.draw,
    "truncation.png": styles.draw_truncation,
    "noise.png": styles.draw_noise,
    "noise-layers.png": styles.draw_layers,
}
"""Function that draws each file, in the order of docs/course.md."""


def draw_all() -> None:
    """Draw all figures."""
    for name, draw in FIGURES.items():
        draw(OUT / name)
