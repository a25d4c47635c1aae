"""Images from files of any common kind, all at once, checked against what an engine takes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError
from zoo.images.fitting import from_array, read_picture
from zoo.images.pictures import PICTURES, no_pictures
from zoo.images.stream import ImageStream

Images = NDArray[np.uint8]
Shape = tuple[int, int, int]


def read_images(
    paths: Iterable[str],
    shape: Shape,
    resize: bool = False,
    skipped: list[tuple[str, str]] | None = None,
) -> tuple[Images, list[str]]:
    """All images of `paths` as uint8 [n, H, W, C], and a short name for each.

    A path is what `zoo.images.stream.ImageStream` takes: a picture, a folder, `.npy`, `.npz`, or
    IDX. `shape` is the engine's (H, W, C). `resize` converts pictures of another size or mode:
    cropped to the aspect ratio, resized with Lanczos filtering. Pictures of a folder that cannot
    be used are added to `skipped`, as (path, reason), and without it are errors. Raises DataError.
    """
    parts: list[Images] = []
    names: list[str] = []
    for path in paths:
        stream = ImageStream([path], shape, resize, strict=skipped is None)
        for block in stream:
            parts.append(block.images)
            names += [PurePath(name).stem for name in block.names]
        if skipped is not None:
            skipped += stream.skipped
    if not names:
        raise DataError("no images given")
    return (parts[0] if len(parts) == 1 else np.concatenate(parts)), names


def read_image(path: str, shape: Shape, resize: bool = False) -> Images:
    """The one image in the file `path` as uint8 [H, W, C]; see `read_images`. Raises DataError."""
    images, _ = read_images([path], shape, resize)
    if len(images) != 1:
        raise DataError(f"{path} holds {len(images)} images, expected one")
    return images[0]


__all__ = ["PICTURES", "from_array", "no_pictures", "read_image", "read_images", "read_picture"]
