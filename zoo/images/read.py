"""Reader of image files of any common format, all at once, checked against an engine's shape."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError
from zoo.images.pictures import error_reason, printable
from zoo.images.stream import ImageStream, is_picture, no_usable_images

Images = NDArray[np.uint8]
Shape = tuple[int, int, int]


def read_images(
    paths: Iterable[str],
    shape: Shape,
    resize: bool = False,
    skipped: list[tuple[str, str]] | None = None,
    among: int | None = None,
) -> tuple[Images, list[str]]:
    """Read all images of `paths` as uint8 [n, H, W, C], and a short name for each.

    Paths and `resize` are those of `zoo.images.stream.ImageStream`; `shape` is the engine's
    (H, W, C). Pictures that cannot be used are added to `skipped` as (path, reason); without that
    list, or if there is no other path, they are errors. `among` is the number of all paths if
    `paths` are only some of them, in which case there may be no images. Raises DataError.
    """
    paths = list(paths)
    parts: list[Images] = []
    names: list[str] = []
    for path in paths:
        stream = ImageStream([path], shape, resize, strict=skipped is None)
        try:
            for block in stream:
                parts.append(block.images)
                names += [PurePath(name).stem for name in block.names]
        except DataError as error:
            if skipped is None or (among or len(paths)) == 1 or not is_picture(Path(path)):
                raise
            skipped.append((printable(path), error_reason(error, Path(path))))
        else:
            if skipped is not None:
                skipped += stream.skipped
    if not paths:
        raise DataError("no images given")
    if not names and among is None:
        raise no_usable_images(skipped or [])
    if len(parts) == 1:
        return parts[0], names
    return np.concatenate([np.empty((0, *shape), np.uint8), *parts]), names


def read_image(path: str, shape: Shape, resize: bool = False) -> Images:
    """Read the single image of a file as uint8 [H, W, C], as `read_images`. Raises DataError."""
    images, _ = read_images([path], shape, resize)
    if len(images) != 1:
        raise DataError(f"{path} holds {len(images)} images, expected one")
    return images[0]
