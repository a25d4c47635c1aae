"""Sheets of images for monitoring a training run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from zoo.data import Split
from zoo.images.atomic import replace_file


def draw_grid(images: np.ndarray, columns: int, gap: int = 2) -> np.ndarray:
    """Arrange images [N, C, H, W] in [0, 1] in rows; return uint8 [H', W'] or [H', W', 3]."""
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
    """Write a sheet as PNG, enlarged by `scale`, atomically."""
    picture = Image.fromarray(sheet.repeat(scale, 0).repeat(scale, 1))
    with replace_file(path) as temporary:
        picture.save(temporary, format="PNG")


def pick_per_class(split: Split, count: int) -> np.ndarray:
    """Return `count` indices (or fewer, in full rows of ten): the first of each class in turn."""
    if split.labels is None:
        order = np.arange(len(split))
    else:
        by_class = np.argsort(split.labels, kind="stable")
        labels = split.labels[by_class]
        turn = np.arange(len(split)) - np.searchsorted(labels, labels)
        order = by_class[np.lexsort((labels, turn))]
    count = min(count, len(order))
    columns = min(10, count)
    return order[: count // columns * columns]
