"""Pictures of images side by side, for looking at a training run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from zoo.images.atomic import replacing


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
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG")
