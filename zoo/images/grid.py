"""Labelled grids of images."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.errors import OutputError
from zoo.images.convert import display_factor, enlarge, mode_of, to_pillow
from zoo.images.text import font, shorten, transliterate

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_TILES = 4096
MAX_PIXELS = 2**27

MARGIN = 16
GAP = 8
TITLE_SIZE = 15
TITLE_HEIGHT = 30
LABEL_SIZE = 11
LABEL_HEIGHT = 17
BACKGROUND = (255, 255, 255)
TITLE_COLOR = (32, 32, 32)
LABEL_COLOR = (96, 96, 96)


Place = tuple[NDArray[np.uint8], str, tuple[int, int]]
"""A tile [H, W, C] uint8, its label, and its upper left corner in a picture."""


@dataclass(frozen=True)
class Cells:
    """Sizes in pixels of labelled tiles, each an image enlarged `factor` times, in `columns`."""

    factor: int
    tile_height: int
    tile_width: int
    cell_width: int
    columns: int

    def corner(self, index: int, top: int = MARGIN + TITLE_HEIGHT) -> tuple[int, int]:
        """Return (left, top) of tile `index`, where the first row of tiles begins at `top`."""
        row, column = divmod(index, self.columns)
        left = MARGIN + column * (self.cell_width + GAP) + (self.cell_width - self.tile_width) // 2
        return left, top + row * (self.tile_height + LABEL_HEIGHT + GAP)

    def height_of(self, count: int) -> int:
        """Return the height of `count` tiles with the gap below them."""
        return -(-count // self.columns) * (self.tile_height + LABEL_HEIGHT + GAP)

    def width_of(self, columns: int) -> int:
        """Return the width of that many tiles in a row."""
        return columns * (self.cell_width + GAP) - GAP


def fit_cells(height: int, width: int, columns: int, label_width: int) -> Cells:
    """Return the cells of images of height × width pixels with labels of at most that width."""
    factor = display_factor(width)
    cell_width = max(width * factor, label_width)
    return Cells(factor, height * factor, width * factor, cell_width, columns)


@dataclass(frozen=True)
class Layout(Cells):
    """Layout of a grid of `count` tiles in a picture of width × height pixels."""

    width: int
    height: int
    count: int

    @property
    def rows(self) -> int:
        """Number of rows; the last one may be incomplete."""
        return -(-self.count // self.columns)


def plan(
    count: int,
    height: int,
    width: int,
    columns: int | None = None,
    label_width: int = 0,
    title_width: int = 0,
) -> Layout:
    """Lay out `count` images of height × width pixels, in a square unless `columns` is given.

    `label_width` and `title_width` are the widths of the widest texts, in pixels.
    Raises OutputError for more than MAX_TILES images or MAX_PIXELS pixels.
    """
    if columns is None:
        columns = math.isqrt(count - 1) + 1
    columns = min(columns, count)
    cells = fit_cells(height, width, columns, label_width)
    layout = Layout(
        **vars(cells),
        width=2 * MARGIN + max(cells.width_of(columns), title_width),
        height=2 * MARGIN + TITLE_HEIGHT + cells.height_of(count) - GAP,
        count=count,
    )
    if count > MAX_TILES:
        raise OutputError(
            f"a grid holds at most {MAX_TILES} images, got {count}: "
            "write them to a folder, .npy or .npz"
        )
    if layout.width * layout.height > MAX_PIXELS:
        raise OutputError(
            f"a grid of {count} images of {height}×{width} would have {layout.width}×"
            f"{layout.height} pixels: write them to a folder, .npy or .npz"
        )
    return layout


def draw(
    tiles: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    labels: Sequence[str],
    title: str,
    columns: int | None = None,
) -> Image:
    """Draw `tiles` [H, W, C] uint8, each above its label, under one title line.

    Every pixel of an image is repeated `Layout.factor` times in both directions. Raises
    OutputError as `plan`.
    """
    height, width, channels = tiles[0].shape
    title, labels = transliterate(title), [transliterate(label) for label in labels]
    title_font, label_font = font(TITLE_SIZE), font(LABEL_SIZE)
    layout = plan(
        len(tiles),
        height,
        width,
        columns,
        label_width=max(math.ceil(label_font.getlength(label)) for label in labels),
        title_width=math.ceil(title_font.getlength(title)),
    )
    places = zip(tiles, labels, map(layout.corner, range(len(tiles))), strict=True)
    return paint(layout, (layout.width, layout.height), mode_of(channels), title, places)


def paint(
    cells: Cells, size: tuple[int, int], mode: str, title: str, places: Iterable[Place]
) -> Image:
    """Draw a title line and labelled tiles at their corners into a picture of Pillow's `mode`.

    size: (width, height) of the picture. All text must be transliterated. Pixels are repeated as by
    `draw`.
    """
    from PIL import Image, ImageDraw

    def ink(color: tuple[int, int, int]) -> int | tuple[int, ...]:
        return color[0] if mode == "L" else (*color, 255)[: len(mode)]

    picture = Image.new(mode, size, ink(BACKGROUND))
    pen = ImageDraw.Draw(picture)
    pen.text((MARGIN, MARGIN - 4), title, ink(TITLE_COLOR), font(TITLE_SIZE))
    for tile, label, (left, top) in places:
        picture.paste(to_pillow(enlarge(tile, cells.factor)).convert(mode), (left, top))
        middle = (left + cells.tile_width / 2, top + cells.tile_height + 3)
        pen.text(middle, label, ink(LABEL_COLOR), font(LABEL_SIZE), anchor="ma")
    return picture


def tile_label(name: str) -> str:
    """Shorten a name to 12 letters, for the label of a small image."""
    return shorten(name, 12, start=6)
