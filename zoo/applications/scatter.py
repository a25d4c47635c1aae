"""Scatter plot of latents, coloured by class."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ConfigError
from zoo.images import atomic
from zoo.images.text import shorten
from zoo.optional import require

MOST = 20_000
"""Approximate limit on the number of points, beyond which they cover each other."""

_INK = "#202020"
_FRAME = "#c8c8c8"


class Scatter:
    """Scatter plot of latents [k, D], added block by block.

    Shows two-dimensional latents directly, and wider ones by the first two principal components of
    all latents. Of more than MOST latents a random subset is drawn, reproducibly; `total` is their
    approximate number. Raises ConfigError for D = 1.
    """

    def __init__(self, width: int, total: int | None = None) -> None:
        if width < 2:
            raise ConfigError(f"a scatter plot needs latents of at least 2 values, got {width}")
        require("matplotlib.figure")
        self.count = 0
        self._share = min(1.0, MOST / total) if total else 1.0
        self._random = np.random.Generator(np.random.Philox(0))
        self._sum = np.zeros(width)
        self._products = np.zeros((width, width))
        self._kept: list[NDArray[np.float32]] = []
        self._labels: list[NDArray[np.int64]] = []

    def add(self, latents: NDArray[np.float32], labels: NDArray[np.int64] | None) -> None:
        """Add latents [k, D] and, if known, their labels [k]."""
        self.count += len(latents)
        exact = latents.astype(np.float64)
        self._sum += exact.sum(axis=0)
        self._products += exact.T @ exact
        kept = self._random.random(len(latents)) < self._share
        self._kept.append(latents[kept])
        if labels is not None:
            self._labels.append(labels[kept])

    def points(self) -> tuple[NDArray[np.float64], float]:
        """Return coordinates [m, 2] of the kept latents, and their share of the variance."""
        latents = np.concatenate(self._kept).astype(np.float64)
        if latents.shape[1] == 2:
            return latents, 1.0
        mean = self._sum / self.count
        covariance = self._products / self.count - np.outer(mean, mean)
        values, vectors = np.linalg.eigh(covariance)
        axes = vectors[:, [-1, -2]]
        # The sign convention of scikit-learn: the largest entry is positive.
        axes *= np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
        total = max(float(values.sum()), np.finfo(np.float64).tiny)
        return (latents - mean) @ axes, float(values[[-1, -2]].sum()) / total

    def draw(self, path: str | Path, name: str, classes: list[str]) -> None:
        """Write the plot to `path`, a .png, with `name` in the title. Raises OutputError."""
        from matplotlib.figure import Figure

        points, share = self.points()
        width = len(self._sum)
        labels = np.concatenate(self._labels) if self._labels else None
        order = self._random.permutation(len(points))
        figure = Figure(figsize=(8.4, 6.4), dpi=150, layout="constrained")
        axes = figure.add_subplot()
        color = _colors(labels)[order] if labels is not None else "#3b6fb6"
        size = float(np.clip(60_000 / len(points), 4, 36))
        axes.scatter(
            points[order, 0],
            points[order, 1],
            s=size,
            c=color,
            alpha=0.7,
            linewidths=0,
            rasterized=True,
        )
        space = "the latents" if width == 2 else f"first two principal components of {width}"
        shown = shorten(name, 80, 60, "…")
        axes.set_title(f"{shown}\n", fontsize=12, color=_INK, loc="left", parse_math=False)
        parts = [space] + ([f"{share:.0%} of the variance"] if width > 2 else [])
        shown = f"{len(points):,}" + (f" of {self.count:,}" if len(points) < self.count else "")
        subtitle = "  ·  ".join([*parts, f"{shown} image{'s' if self.count > 1 else ''}"])
        axes.text(0, 1.015, subtitle, transform=axes.transAxes, fontsize=9, color="#606060")
        prefix = "latent value" if width == 2 else "principal component"
        axes.set_xlabel(f"{prefix} {0 if width == 2 else 1}", color=_INK)
        axes.set_ylabel(f"{prefix} {1 if width == 2 else 2}", color=_INK)
        axes.set_aspect("equal", adjustable="datalim")
        axes.grid(color="#ececec", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(colors="#606060", labelsize=8, length=0)
        for spine in axes.spines.values():
            spine.set_color(_FRAME)
        if labels is not None:
            _legend(axes, labels, classes)
        with atomic.replace_file(path) as temporary, warnings.catch_warnings():
            # Characters that the font lacks are drawn as boxes.
            warnings.filterwarnings("ignore", "Glyph .* missing from")
            # Omit matplotlib's version, so that the same points give the same file.
            figure.savefig(temporary, format="png", metadata={"Software": None})


def check(path: str) -> None:
    """Raise OutputError unless a plot could be written to `path`, without creating it."""
    atomic.check_suffix(path, ".png", "the scatter plot must be a .png")


def _legend(axes: Any, labels: NDArray[np.int64], classes: list[str]) -> None:
    from matplotlib.lines import Line2D

    present = np.unique(labels)
    names = [classes[i] if 0 <= i < len(classes) else str(i) for i in present]
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=7, color=color, label=name)
        for color, name in zip(_colors(present), names, strict=True)
    ]
    legend = axes.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        frameon=False,
        fontsize=9,
        labelcolor=_INK,
        ncols=1 + (len(handles) - 1) // 28,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _colors(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return a colour, RGBA in [0, 1], for each label."""
    import matplotlib

    if labels.max() < 20:
        palette = matplotlib.colormaps["tab10" if labels.max() < 10 else "tab20"]
        return np.asarray(palette(labels))
    # Multiples of the golden ratio, so that neighbouring classes have distant hues.
    return np.asarray(matplotlib.colormaps["hsv"](labels * 0.618034 % 1.0))
