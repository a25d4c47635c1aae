"""Canvases, colours and files of the figures."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from PIL import Image

BLUE, RED, GREEN, GREY = "#447788", "#bb4444", "#558833", "#888888"


def canvas(width: float, height: float, *shape: int, **options: Any) -> tuple[Figure, np.ndarray]:
    """Return a figure of width × height inches and its axes, an array of `shape` (rows, columns).

    `options` are those of Figure.subplots.
    """
    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    axes = figure.subplots(*shape, squeeze=False, **options)
    for each in axes.flat:
        each.spines[["top", "right"]].set_visible(False)
        each.set_axisbelow(True)
    return figure, axes


def save(figure: Figure, path: Path, colours: int = 256) -> None:
    """Write a figure as a PNG of at most that many colours."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    reduce_colours(Image.open(drawn), path, colours)


def reduce_colours(picture: Image.Image, path: Path, colours: int = 256) -> None:
    """Write a picture as a PNG of at most that many colours, without dithering."""
    picture = picture.convert("RGB").quantize(colours, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)


def place_image(axes: Any, image: np.ndarray, at: tuple[float, float], **options: Any) -> None:
    """Place a grey image uint8 [H, W, 1] with its centre at `at`, framed.

    Its pixels are `zoom` pixels wide; `options` are those of AnnotationBbox.
    """
    zoom = options.pop("zoom", 1)
    tile = OffsetImage(
        image[..., 0], zoom=zoom, cmap="gray", norm=Normalize(0, 255), dpi_cor=False,
        interpolation="nearest",
    )  # fmt: skip
    frame = {"edgecolor": options.pop("color", GREY), "linewidth": 1}
    options = {"frameon": True, "pad": 0.1, "bboxprops": frame} | options
    axes.add_artist(AnnotationBbox(tile, at, **options))


def hide_ticks(axes: Any) -> None:
    """Leave only the frame of `axes`."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("#c8c8c8")
