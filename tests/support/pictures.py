"""Pictures for commands to read, and the tiles of those they write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from zoo.images import grid, rows, sinks
from zoo.images.convert import enlarge, to_pillow


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as opened:
        array = np.asarray(opened)
    return array[..., None] if array.ndim == 2 else array


def save_pictures(
    folder: Path, images: np.ndarray, suffix: str = ".png", names: str = "", first: int = 0
) -> None:
    """Write images [n, H, W, C] as a, b, c …, or under `names` formatted with the index."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(images, first):
        mode = "LA" if image.shape[2] == 2 else None
        picture = Image.fromarray(image, mode) if mode else to_pillow(image)
        picture.save(folder / f"{names.format(index) or chr(ord('a') + index)}{suffix}")


def tiles(path: Path, count: int, columns: int | None = None, height: int = 28) -> np.ndarray:
    """The images of a grid file, shrunk back after checking that all repeated pixels agree."""
    layout = grid.plan(count, height, 28, columns)
    pixels = picture(path)
    assert pixels.shape[0] == layout.height
    result = []
    for index in range(count):
        left, top = layout.corner(index)
        tile = pixels[top : top + layout.tile_height, left : left + layout.tile_width]
        small = tile[:: layout.factor, :: layout.factor]
        np.testing.assert_array_equal(enlarge(small, layout.factor), tile)
        result.append(small)
    return np.stack(result)


def frames(path: Path) -> np.ndarray:
    factor = sinks.gif_factor(28, 28)
    with Image.open(path) as animation:
        assert animation.size == (28 * factor, 28 * factor)
        result = []
        for index in range(animation.n_frames):
            animation.seek(index)
            result.append(np.asarray(animation.convert("L"))[::factor, ::factor, None])
    return np.stack(result)


def wide_tiles(path: Path, count: int, columns: int) -> np.ndarray:
    """The images of a grid whose labels may be wider than they are."""
    pixels = picture(path)[..., 0]
    factor, size = 3, 84
    pitch = (pixels.shape[1] - 2 * grid.MARGIN + grid.GAP) // columns
    result = []
    for index in range(count):
        row, column = divmod(index, columns)
        left = grid.MARGIN + column * pitch + (pitch - grid.GAP - size) // 2
        top = grid.MARGIN + grid.TITLE_HEIGHT + row * (size + grid.LABEL_HEIGHT + grid.GAP)
        result.append(pixels[top : top + size : factor, left : left + size : factor, None])
    return np.stack(result)


def row_tiles(path: Path, counts: list[int], columns: int = rows.COLUMNS) -> list[np.ndarray]:
    """The tiles of each row of a picture, shrunk back after checking that all pixels agree."""
    layout = rows.plan(counts, 28, 28, columns)
    with Image.open(path) as opened:
        pixels = np.asarray(opened)
    assert pixels.shape[0] == layout.size[1]
    result = []
    for corners in layout.corners:
        row = []
        for left, top in corners:
            tile = pixels[top : top + layout.tile_height, left : left + layout.tile_width]
            small = tile[:: layout.factor, :: layout.factor]
            np.testing.assert_array_equal(enlarge(small, layout.factor), tile)
            row.append(small)
        result.append(np.stack(row))
    return result
