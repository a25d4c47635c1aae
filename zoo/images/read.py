"""Images from files of any common kind, all at once, checked against what an engine takes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError
from zoo.images.fitting import from_array, read_picture
from zoo.images.pictures import PICTURES, no_pictures, printable, reason
from zoo.images.stream import ImageStream, is_picture, nothing_left

Images = NDArray[np.uint8]
Shape = tuple[int, int, int]


def read_images(
    paths: Iterable[str],
    shape: Shape,
    resize: bool = False,
    skipped: list[tuple[str, str]] | None = None,
    among: int | None = None,
) -> tuple[Images, list[str]]:
    """All images of `paths` as uint8 [n, H, W, C], and a short name for each.

    A path is what `zoo.images.stream.ImageStream` takes: a picture, a folder, `.npy`, `.npz`, or
    IDX. `shape` is the engine's (H, W, C). `resize` converts pictures of another size or mode:
    cropped to the aspect ratio, resized with Lanczos filtering. Pictures that cannot be used are
    added to `skipped`, as (path, reason); without it, and where nothing else was given, they are
    errors. `among` says how many paths were given where these are not all: then there may be
    no images. Raises DataError.
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
            skipped.append((printable(path), reason(error, Path(path))))
        else:
            if skipped is not None:
                skipped += stream.skipped
    if not paths:
        raise DataError("no images given")
    if not names and among is None:
        raise nothing_left(skipped or [])
    if len(parts) == 1:
        return parts[0], names
    return np.concatenate([np.empty((0, *shape), np.uint8), *parts]), names


def read_image(path: str, shape: Shape, resize: bool = False) -> Images:
    """The one image in the file `path` as uint8 [H, W, C]; see `read_images`. Raises DataError."""
    images, _ = read_images([path], shape, resize)
    if len(images) != 1:
        raise DataError(f"{path} holds {len(images)} images, expected one")
    return images[0]


__all__ = ["PICTURES", "from_array", "no_pictures", "read_image", "read_images", "read_picture"]
