"""Images as the bodies of answers."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.images import png
from zoo.images.npy import write_header
from zoo.serving.parameters import RequestError

Images = NDArray[np.uint8]

GAP = 2
"""Pixels between the images of a grid."""

MOST_GRID = 4096
"""Images of the largest grid."""


def _png(images: Images) -> bytes:
    if len(images) != 1:
        raise RequestError(f"format: png is of one image, got n = {len(images)}; grid has many")
    return png.encode(images[0])


def _grid(images: Images) -> bytes:
    """Images in rows of about √n, on white."""
    count, height, width, channels = images.shape
    if count > MOST_GRID:
        raise RequestError(f"format: a grid has at most {MOST_GRID} images, got n = {count}")
    columns = math.isqrt(count - 1) + 1
    rows = -(-count // columns)
    shape = (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, channels)
    picture = np.full(shape, 255, np.uint8)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = row * (height + GAP), column * (width + GAP)
        picture[top : top + height, left : left + width] = image
    return png.encode(picture)


def npy_header(shape: tuple[int, ...]) -> bytes:
    """Return the header of a `.npy` file of bytes of this shape."""
    file = io.BytesIO()
    write_header(file, shape)
    return file.getvalue()


def _npy(images: Images) -> bytes:
    return npy_header(images.shape) + images.tobytes()


def _npz(images: Images) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, images=images)
    return file.getvalue()


FORMATS: dict[str, tuple[str, Callable[[Images], bytes]]] = {
    "png": ("image/png", _png),
    "grid": ("image/png", _grid),
    "npy": ("application/x-npy", _npy),
    "npz": ("application/x-npz", _npz),
    "raw": ("application/octet-stream", lambda images: images.tobytes()),
}
"""Media types and encoders of images [n, H, W, C]."""

STREAMED = ("npy", "raw")
"""Formats that need not be complete before the first byte."""


def describe(images: Any) -> str:
    """Return the shape of images for a header: "n,H,W,C"."""
    return ",".join(map(str, images))
