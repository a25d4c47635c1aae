"""Conversion of pictures and arrays to the image shape that an engine expects."""

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
    """Read a picture as uint8 [H, W, C] of exactly `shape`, C = 1, 2 (grey, alpha), 3 or 4.

    The EXIF orientation is applied. With `resize`, a picture of another size or mode is cropped to
    the aspect ratio and resized with Lanczos filtering; transparency that the engine does not take
    is composed on `zoo.images.pictures.BACKGROUND`. Raises DataError.
    """
    with pictures.open_picture(path) as file:
        return _read(file, path, shape, resize)


def read_encoded(
    content: bytes, name: str, formats: tuple[str, ...], shape: Shape, resize: bool
) -> Images:
    """Read the content of a picture file as `read_picture`, if it has one of Pillow's `formats`.

    Errors call it `name`.
    """
    with pictures.open_encoded(content, name, formats) as file:
        return _read(file, name, shape, resize)


def _read(file: Image, source: object, shape: Shape, resize: bool) -> Images:
    described = file.mode
    if described in ("1", "L", "RGB", "P") and file.has_transparency_data:
        described += " with transparency"
    if not resize and sorted(file.size) != sorted(shape[:2]):
        # Fail before decoding, which is slow for a large picture.
        raise _mismatch_error(source, shape, file.size, described)
    picture = pictures.apply_orientation(file)
    if not resize and not _matches(picture.size, described, shape):
        raise _mismatch_error(source, shape, picture.size, described)
    return _fit_picture(picture, shape)


def _matches(size: tuple[int, int], mode: str, shape: Shape) -> bool:
    return size == (shape[1], shape[0]) and mode in _ACCEPTED[_mode(shape)]


def _mode(shape: Shape) -> str:
    return "LA" if shape[2] == 2 else mode_of(shape[2])


def _mismatch_error(source: object, shape: Shape, size: tuple[int, int], mode: str) -> DataError:
    return DataError(
        f"{source}: expected {shape[1]}×{shape[0]} pixels, mode {_mode(shape)}; got "
        f"{size[0]}×{size[1]}, mode {mode} (--resize converts it)"
    )


def _fit_picture(picture: Image, shape: Shape) -> Images:
    """Convert a picture of mode L, LA, RGB or RGBA to uint8 [H, W, C] of exactly `shape`."""
    height, width, channels = shape
    if channels in (1, 3):
        picture = pictures.flatten_alpha(picture)
    picture = picture.convert(_mode(shape))
    if picture.size != (width, height):
        from PIL import Image, ImageOps

        picture = ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
    return np.asarray(picture, dtype=np.uint8).reshape(shape)


def from_array(
    array: NDArray[np.generic], source: object, shape: Shape, resize: bool, got: str | None = None
) -> Images:
    """Convert an array of images to uint8 [n, H, W, C] of exactly `shape`.

    Raises DataError; `got` describes the array there if this one is only a part of it.
    """
    got = got or f"{array.dtype} {list(array.shape)}"
    expected = f"expected [n, {shape[0]}, {shape[1]}, {shape[2]}], uint8 or floats in [0, 1]"
    images = array.reshape(batch_shape(array.shape, shape))
    if images.ndim != 4 or not len(images):
        raise DataError(f"{source}: {expected}; got {got}")
    pixels = _as_uint8(images, source, f"{expected}; got {got}")
    if pixels.shape[1:] == shape:
        return pixels
    if not resize or pixels.shape[3] not in (1, 3, 4) or 0 in pixels.shape:
        raise DataError(f"{source}: {expected}; got {got} (--resize converts pictures)")
    return np.stack([_fit_picture(to_pillow(image), shape) for image in pixels])


def batch_shape(shape: tuple[int, ...], image: Shape) -> tuple[int, ...]:
    """Return the shape [n, H, W, C] for an array of images that may lack n or C."""
    if len(shape) == 2:
        return (1, *shape, 1)
    if len(shape) == 3:
        return (1, *shape) if shape == image else (*shape, 1)
    return shape


def _as_uint8(array: NDArray[np.generic], source: object, problem: str) -> Images:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array, dtype=np.uint8)
    if array.dtype.kind != "f":
        raise DataError(f"{source}: {problem}")
    if not np.isfinite(array).all():
        raise DataError(f"{source}: holds values that are not finite (NaN or infinity)")
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 1:
        raise DataError(f"{source}: {problem} in [{low:.6g}, {high:.6g}]")
    # The same rounding as in the engines: floor(x * 255 + 1/2).
    return np.floor(array.astype(np.float32) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
