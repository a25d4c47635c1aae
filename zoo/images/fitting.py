"""Pictures and arrays as images of the one shape that an engine takes, or a DataError."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError
from zoo.images import pictures
from zoo.images.convert import mode_of, to_pillow

if TYPE_CHECKING:
    from PIL.Image import Image

Images = NDArray[np.uint8]
Shape = tuple[int, int, int]

_ACCEPTED = {"L": ("L", "1"), "LA": ("LA",), "RGB": ("RGB",), "RGBA": ("RGBA",)}


def read_picture(path: Path, shape: Shape, resize: bool) -> Images:
    """The picture at `path` as uint8 [H, W, C] of exactly `shape`, C = 1, 2 (grey, alpha), 3 or 4.

    It is turned as its EXIF orientation says. With `resize` a picture of another size or mode is
    cropped to the aspect ratio and resized with Lanczos filtering, and one with transparency for an
    engine that takes none is put on `zoo.images.pictures.BACKGROUND`. Raises DataError.
    """
    with pictures.opened(path) as file:
        described = file.mode
        if described in ("1", "L", "RGB", "P") and file.has_transparency_data:
            described += " with transparency"
        if not resize and sorted(file.size) != sorted(shape[:2]):
            # Said before it is decoded, which for a large picture takes long.
            raise _unfit(path, shape, file.size, described)
        picture = pictures.upright(file)
    if not resize and not _fits(picture.size, described, shape):
        raise _unfit(path, shape, picture.size, described)
    return _fitted(picture, shape)


def _fits(size: tuple[int, int], mode: str, shape: Shape) -> bool:
    return size == (shape[1], shape[0]) and mode in _ACCEPTED[_mode(shape)]


def _mode(shape: Shape) -> str:
    return "LA" if shape[2] == 2 else mode_of(shape[2])


def _unfit(source: object, shape: Shape, size: tuple[int, int], mode: str) -> DataError:
    return DataError(
        f"{source}: expected {shape[1]}×{shape[0]} pixels, mode {_mode(shape)}; got "
        f"{size[0]}×{size[1]}, mode {mode} (--resize converts it)"
    )


def _fitted(picture: Image, shape: Shape) -> Images:
    """A picture of mode L, LA, RGB or RGBA as uint8 [H, W, C] of exactly `shape`."""
    height, width, channels = shape
    if channels in (1, 3):
        picture = pictures.composed(picture)
    picture = picture.convert(_mode(shape))
    if picture.size != (width, height):
        from PIL import Image, ImageOps

        picture = ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
    return np.asarray(picture, dtype=np.uint8).reshape(shape)


def from_array(
    array: NDArray[np.generic], source: Path, shape: Shape, resize: bool, got: str | None = None
) -> Images:
    """An array of images as uint8 [n, H, W, C] of exactly `shape`, or DataError.

    `got` is what the message calls an array that this one is a part of.
    """
    got = got or f"{array.dtype} {list(array.shape)}"
    expected = f"expected [n, {shape[0]}, {shape[1]}, {shape[2]}], uint8 or floats in [0, 1]"
    images = array.reshape(with_channels(array.shape, shape))
    if images.ndim != 4 or not len(images):
        raise DataError(f"{source}: {expected}; got {got}")
    pixels = _as_uint8(images, source, f"{expected}; got {got}")
    if pixels.shape[1:] == shape:
        return pixels
    if not resize or pixels.shape[3] not in (1, 3, 4) or 0 in pixels.shape:
        raise DataError(f"{source}: {expected}; got {got} (--resize converts pictures)")
    return np.stack([_fitted(to_pillow(image), shape) for image in pixels])


def with_channels(shape: tuple[int, ...], image: Shape) -> tuple[int, ...]:
    """The shape of an array of images with the missing dimensions added."""
    if len(shape) == 2:
        return (1, *shape, 1)
    if len(shape) == 3:
        return (1, *shape) if shape == image else (*shape, 1)
    return shape


def _as_uint8(array: NDArray[np.generic], source: Path, problem: str) -> Images:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array, dtype=np.uint8)
    if array.dtype.kind != "f":
        raise DataError(f"{source}: {problem}")
    if not np.isfinite(array).all():
        raise DataError(f"{source}: holds values that are not finite (NaN or infinity)")
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 1:
        raise DataError(f"{source}: {problem} in [{low:.6g}, {high:.6g}]")
    # As the engines round: floor(x * 255 + 1/2).
    return np.floor(array.astype(np.float32) * np.float32(255) + np.float32(0.5)).astype(np.uint8)


__all__ = ["from_array", "read_picture", "with_channels"]
