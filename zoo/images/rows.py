"""Pictures of several rows of images, each row under a heading."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.errors import OutputError
from zoo.images import grid
from zoo.images.convert import to_pillow
from zoo.images.grid import GAP, MARGIN, TITLE_HEIGHT
from zoo.images.text import font, transliterate

if TYPE_CHECKING:
    from PIL.Image import Image

HEADING_SIZE = 13
HEADING_HEIGHT = 24
HEADING_COLOR = (32, 32, 32)
SCALE_HEIGHT = 12
COLUMNS = 16


@dataclass(frozen=True)
class Row:
    """Row of `tiles` [H, W, C] uint8 above their `labels`, under a `heading`.

    `scale` is a colour bar uint8 [w, 3] drawn after the heading, which names its ends.
    """

    heading: str
    tiles: Sequence[NDArray[np.uint8]]
    labels: Sequence[str]
    scale: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Layout(grid.Cells):
    """Layout in pixels: the picture's (width, height), the top of each row's heading, and the
    (left, top) of each tile of each row."""

    size: tuple[int, int]
    headings: list[int]
    corners: list[list[tuple[int, int]]]


def plan(
    counts: Sequence[int],
    height: int,
    width: int,
    columns: int = COLUMNS,
    label_width: int = 0,
    text_width: int = 0,
) -> Layout:
    """Lay out rows of `counts` images of height × width pixels, wrapped after `columns` tiles.

    `label_width` and `text_width` are the widths in pixels of the widest label, and of the widest
    title or heading. Raises OutputError beyond the limits of `zoo.images.grid`.
    """
    cells = grid.fit_cells(height, width, columns, label_width)
    top = MARGIN + TITLE_HEIGHT
    headings, corners = [], []
    for count in counts:
        headings.append(top)
        top += HEADING_HEIGHT
        corners.append([cells.corner(index, top) for index in range(count)])
        top += cells.height_of(count)
    inner_width = cells.width_of(min(columns, max(counts)))
    size = (2 * MARGIN + max(inner_width, text_width), top - GAP + MARGIN)
    if sum(counts) > grid.MAX_TILES or math.prod(size) > grid.MAX_PIXELS:
        raise OutputError(f"{sum(counts)} images of {height}×{width} make too large a picture")
    return Layout(**vars(cells), size=size, headings=headings, corners=corners)


def draw(rows: Sequence[Row], title: str, columns: int = COLUMNS) -> Image:
    """Draw all rows under one title line, in RGB, with tiles as in `zoo.images.grid.draw`.

    Raises OutputError as `plan`.
    """
    from PIL import ImageDraw

    heading_font, label_font = font(HEADING_SIZE), font(grid.LABEL_SIZE)
    title = transliterate(title)
    rows = [
        replace(row, heading=transliterate(row.heading), labels=[*map(transliterate, row.labels)])
        for row in rows
    ]
    ends = [math.ceil(heading_font.getlength(row.heading)) + GAP for row in rows]
    height, width, _ = rows[0].tiles[0].shape
    layout = plan(
        [len(row.tiles) for row in rows],
        height,
        width,
        columns,
        label_width=max(
            math.ceil(label_font.getlength(label)) for row in rows for label in row.labels
        ),
        text_width=max(
            math.ceil(font(grid.TITLE_SIZE).getlength(title)),
            *(
                end + (0 if row.scale is None else len(row.scale))
                for row, end in zip(rows, ends, strict=True)
            ),
        ),
    )
    picture = grid.paint(layout, layout.size, "RGB", title, _places(rows, layout))
    pen = ImageDraw.Draw(picture)
    for row, end, top in zip(rows, ends, layout.headings, strict=True):
        pen.text((MARGIN, top), row.heading, HEADING_COLOR, heading_font)
        if row.scale is not None:
            strip = np.repeat(row.scale[None], SCALE_HEIGHT, axis=0)
            picture.paste(to_pillow(strip), (MARGIN + end, top + 3))
    return picture


def _places(rows: Sequence[Row], layout: Layout) -> Iterator[grid.Place]:
    for row, corners in zip(rows, layout.corners, strict=True):
        yield from zip(row.tiles, row.labels, corners, strict=True)
