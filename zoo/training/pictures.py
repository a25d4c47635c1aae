"""Pictures of images side by side, for looking at a training run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from zoo.data import Split
from zoo.images.atomic import replace_file


def grid(images: np.ndarray, columns: int, gap: int = 2) -> np.ndarray:
    """Lay images [N, C, H, W] in [0, 1] out in rows; return uint8 [H', W'] or [H', W', 3]."""
    count, channels, height, width = images.shape
    rows = -(-count // columns)
    sheet = np.full(
        (rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 255, np.uint8
    )
    pixels = np.floor(images.clip(0, 1) * 255 + 0.5).astype(np.uint8).transpose(0, 2, 3, 1)
    for index, image in enumerate(pixels):
        top = gap + (index // columns) * (height + gap)
        left = gap + (index % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet[..., 0] if channels == 1 else sheet


def save_picture(path: Path, sheet: np.ndarray, scale: int = 2) -> None:
    """Write a sheet as PNG, each pixel `scale` wide; the file appears whole or not at all."""
    picture = Image.fromarray(sheet.repeat(scale, 0).repeat(scale, 1))
    with replace_file(path) as temporary:
        picture.save(temporary, format="PNG")


def one_of_each(split: Split, count: int) -> np.ndarray:
    """Rows of `count` images (or fewer, in full rows of ten): the first of each class in turn."""
    if split.labels is None:
        order = np.arange(len(split))
    else:
        # The n-th image of every class before the (n+1)-th of any.
        by_class = np.argsort(split.labels, kind="stable")
        labels = split.labels[by_class]
        turn = np.arange(len(split)) - np.searchsorted(labels, labels)
        order = by_class[np.lexsort((labels, turn))]
    count = min(count, len(order))
    columns = min(10, count)
    return order[: count // columns * columns]
