"""Canvases, colours and files of the figures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from PIL import Image

GAP = 4
"""Pixels between the tiles of a table."""

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


def draw_table(
    tiles: np.ndarray, rows: Sequence[str], columns: Sequence[str], zoom: int = 1
) -> Figure:
    """Return a figure of tiles uint8 [R, C, H, W, 1 or 3] with the names of its rows and columns.

    Pixels of the tiles are exactly `zoom` pixels wide.
    """
    tiles = np.repeat(np.broadcast_to(tiles, (*tiles.shape[:-1], 3)), zoom, 2).repeat(zoom, 3)
    sheet = np.pad(tiles, ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=255)
    sheet = np.concatenate(list(np.concatenate(list(sheet.swapaxes(0, 1)), 2)))
    left = 12 + 7 * max(map(len, rows))
    top = 10 + 15 * max(name.count("\n") + 1 for name in columns)
    height, width = sheet.shape[0] + top, sheet.shape[1] + left
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    axes = figure.add_axes((left / width, 0, sheet.shape[1] / width, sheet.shape[0] / height))
    axes.imshow(sheet, interpolation="none")
    for axis, names, pixels in (
        (axes.xaxis, columns, sheet.shape[1] - GAP),
        (axes.yaxis, rows, sheet.shape[0] - GAP),
    ):
        axis.set_ticks((np.arange(len(names)) + 0.5) * pixels / len(names) - 0.5, names)
    axes.tick_params(length=0, labelsize=9, labelbottom=False, labeltop=True)
    axes.spines[:].set_visible(False)
    return figure


def hide_ticks(axes: Any) -> None:
    """Leave only the frame of `axes`."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("#c8c8c8")
