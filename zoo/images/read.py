"""Images from files of any common kind, checked against what an engine takes."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError
from zoo.images.convert import decoding, eight_bits, mode_of, opened, to_pillow

if TYPE_CHECKING:
    from PIL.Image import Image

Images = NDArray[np.uint8]
Shape = tuple[int, int, int]

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
"""What is looked for in a folder; a file given by name may be any picture that Pillow reads."""

_ACCEPTED = {"L": ("L", "1"), "LA": ("LA",), "RGB": ("RGB",), "RGBA": ("RGBA",)}


def read_images(
    paths: Iterable[str], shape: Shape, resize: bool = False
) -> tuple[Images, list[str]]:
    """All images of `paths` as uint8 [n, H, W, C], and a short name for each.

    A path is a picture, a folder of pictures (sorted by name), `.npy` or `.npz`
    (uint8, or floats in [0, 1]; [n, H, W, C], [n, H, W], or one image), or an
    IDX file, gzip-compressed or not. `shape` is the engine's (H, W, C).
    `resize` converts pictures of another size or mode: cropped to the aspect
    ratio, resized with Lanczos filtering. Raises DataError.
    """
    parts: list[Images] = []
    names: list[str] = []
    for path in paths:
        images, its_names = _read(Path(path), shape, resize)
        parts.append(images)
        names += its_names
    if not names:
        raise DataError("no images given")
    return (parts[0] if len(parts) == 1 else np.concatenate(parts)), names


def read_image(path: str, shape: Shape, resize: bool = False) -> Images:
    """The one image in the file `path` as uint8 [H, W, C]; see `read_images`. Raises DataError."""
    images, _ = read_images([path], shape, resize)
    if len(images) != 1:
        raise DataError(f"{path} holds {len(images)} images, expected one")
    return images[0]


def _read(path: Path, shape: Shape, resize: bool) -> tuple[Images, list[str]]:
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES)
        if not files:
            raise no_pictures(path)
        images = np.stack([read_picture(file, shape, resize) for file in files])
        return images, [file.stem for file in files]
    try:
        with path.open("rb") as file:
            start = file.read(6)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if not start:
        raise DataError(f"{path} is empty")
    if start.startswith((b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06")):
        images = from_array(_load_numpy(path), path, shape, resize)
    elif start.startswith((b"\x1f\x8b", b"\0\0\x08")):
        from zoo.data.idx import read_idx

        images = from_array(read_idx(path), path, shape, resize)
    else:
        return read_picture(path, shape, resize)[None], [path.stem]
    return images, [path.stem] if len(images) == 1 else [str(i) for i in range(len(images))]


def read_picture(path: Path, shape: Shape, resize: bool) -> Images:
    """The picture at `path` as uint8 [H, W, C] of exactly `shape`; see `read_images`."""
    from PIL import ImageOps, UnidentifiedImageError

    with decoding(path):
        try:
            file = opened(path)
        except UnidentifiedImageError:
            raise DataError(f"{path} is not a picture, .npy, .npz or IDX file") from None
        with file:
            if not resize and sorted(file.size) != sorted(shape[:2]):
                # Said before it is decoded, which for a large picture takes long.
                return _fitted(file, path, shape, resize)
            picture = ImageOps.exif_transpose(file)
    return _fitted(picture, path, shape, resize)


def _fitted(picture: Image, source: object, shape: Shape, resize: bool) -> Images:
    """A picture as uint8 [H, W, C] of exactly `shape`, or DataError."""
    height, width, channels = shape
    mode = "LA" if channels == 2 else mode_of(channels)
    right = picture.size == (width, height) and picture.mode in _ACCEPTED[mode]
    if not right and not resize:
        raise DataError(
            f"{source}: expected {width}×{height} pixels, mode {mode}; got "
            f"{picture.width}×{picture.height}, mode {picture.mode} (--resize converts it)"
        )
    picture = eight_bits(picture).convert(mode)
    if not right:
        from PIL import Image, ImageOps

        picture = ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
    return np.asarray(picture, dtype=np.uint8).reshape(shape)


def no_pictures(folder: Path) -> DataError:
    """That there is no picture in a folder."""
    return DataError(f"{folder} holds no pictures ({', '.join(PICTURES)})")


def _load_numpy(path: Path) -> NDArray[np.generic]:
    try:
        # Never unpickle: the file may come from anywhere.
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded as archive:
            if "images" in archive.files:
                return archive["images"]
            if len(archive.files) == 1:
                return archive[archive.files[0]]
            held = ", ".join(archive.files) or "no arrays"
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    raise DataError(f"{path} holds {held}; expected one array named images")


def from_array(
    array: NDArray[np.generic], source: Path, shape: Shape, resize: bool, got: str | None = None
) -> Images:
    """An array of images as uint8 [n, H, W, C] of exactly `shape`, or DataError.

    `got` is what the message calls an array that this one is a part of.
    """
    got = got or f"{array.dtype} {list(array.shape)}"
    expected = f"expected [n, {shape[0]}, {shape[1]}, {shape[2]}], uint8 or floats in [0, 1]"
    images = _with_channels(array, shape)
    if images is None or not len(images):
        raise DataError(f"{source}: {expected}; got {got}")
    pixels = _as_uint8(images, source, f"{expected}; got {got}")
    if pixels.shape[1:] == shape:
        return pixels
    if not resize or pixels.shape[3] not in (1, 3, 4) or 0 in pixels.shape:
        raise DataError(f"{source}: {expected}; got {got} (--resize converts pictures)")
    return np.stack([_fitted(to_pillow(image), source, shape, resize) for image in pixels])


def _with_channels(array: NDArray[np.generic], shape: Shape) -> NDArray[np.generic] | None:
    """`array` as [n, H, W, C], the missing dimensions added; None for another rank."""
    if array.ndim == 2:
        return array[None, :, :, None]
    if array.ndim == 3:
        return array[None] if array.shape == shape else array[..., None]
    return array if array.ndim == 4 else None


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


__all__ = ["PICTURES", "from_array", "no_pictures", "read_image", "read_images", "read_picture"]
