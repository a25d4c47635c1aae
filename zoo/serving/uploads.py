"""Pictures that clients send: their limits, and their conversion to an engine's shape."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zoo.images import arrays, fitting, pictures
from zoo.serving.limits import Limits
from zoo.serving.models import Model
from zoo.serving.parameters import RequestError, Values

Images = NDArray[np.uint8]
Shape = tuple[int, int, int]

FORMATS = ("PNG", "JPEG", "GIF", "BMP")
"""What is decoded: formats whose size is in their first bytes, before anything is allocated."""

MOST_SIDE = 2**14
MOST_PIXELS = 2**24
"""Largest sides and pixels of a picture."""

MOST_TOGETHER = 2**26
"""Most pixels of the pictures of a request."""

MOST_BYTES = 2**27
"""Most bytes of the images that they become."""

MOST_SCANS = 100
"""Most scans of a JPEG: progressive ones have about ten, and each passes over all pixels."""

_START_OF_SCAN = b"\xff\xda"


async def read_images(
    model: Model, values: Values, shape: Shape, limits: Limits, name: str = "images"
) -> Images:
    """Return the pictures of the parameter `name` as uint8 [n, *shape], decoded in another thread.

    Raises RequestError, DataError, and as Pool.run.
    """
    files, resize = values[name], values["resize"]
    decoded = (decode, files, name, shape, resize, limits.images)
    return await model.pool.run(len(files), limits.seconds, *decoded)


def names_of(count: int) -> list[str]:
    """Return names of pictures, whose files have none, for labels."""
    return [f"picture {index}" for index in range(count)]


def decode(files: Sequence[bytes], name: str, shape: Shape, resize: bool, most: int) -> Images:
    """Decode files of pictures, and of arrays [n, H, W, C], to uint8 [n, *shape].

    `resize` converts others to that shape, as zoo.images.fitting.read_picture does. Raises
    RequestError for more than `most` images, and beyond the limits of this module; DataError.
    """
    names = [name if len(files) == 1 else f"{name}[{index}]" for index in range(len(files))]
    parts = [
        arrays.read_npy(file, each) if file.startswith(arrays.NPY) else file
        for file, each in zip(files, names, strict=True)
    ]
    _check_count(parts, name, shape, most)
    _check_pixels(parts, names)
    images = [
        fitting.read_encoded(part, each, FORMATS, shape, resize)[None]
        if isinstance(part, bytes)
        else fitting.from_array(part, each, shape, resize)
        for part, each in zip(parts, names, strict=True)
    ]
    return images[0] if len(images) == 1 else np.concatenate(images)


def _check_count(
    parts: Sequence[bytes | NDArray[np.generic]], name: str, shape: Shape, most: int
) -> None:
    most = min(most, MOST_BYTES // math.prod(shape))
    count = sum(
        1 if isinstance(part, bytes) else fitting.batch_shape(part.shape, shape)[0]
        for part in parts
        if isinstance(part, bytes) or part.ndim
    )
    if count > most:
        raise RequestError(f"{name}: expected at most {most} images, got {count}", 413)


def _check_pixels(parts: Sequence[bytes | NDArray[np.generic]], names: Sequence[str]) -> None:
    """Raise RequestError for pictures that are too large, without decoding any."""
    together = 0
    for part, name in zip(parts, names, strict=True):
        if not isinstance(part, bytes):
            continue
        with pictures.open_encoded(part, name, FORMATS) as picture:
            width, height = picture.size
        if max(width, height) > MOST_SIDE or width * height > MOST_PIXELS:
            raise RequestError(
                f"{name}: expected sides of at most {MOST_SIDE} and {MOST_PIXELS} pixels, "
                f"got {width}×{height}",
                413,
            )
        if part.count(_START_OF_SCAN) > MOST_SCANS and part.startswith(b"\xff\xd8"):
            raise RequestError(f"{name}: expected a JPEG of at most {MOST_SCANS} scans", 413)
        together += width * height
    if together > MOST_TOGETHER:
        raise RequestError(
            f"expected pictures of at most {MOST_TOGETHER} pixels together, got {together}", 413
        )
