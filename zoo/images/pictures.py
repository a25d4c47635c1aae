"""Picture files: listing them in a folder, and decoding them to one of four modes."""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import DataError
from zoo.images.reading import check_regular, data_errors

if TYPE_CHECKING:
    from PIL.Image import Image

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
"""Suffixes looked for in a folder; a file given by name may have any format that Pillow reads."""

BACKGROUND = 255
"""White, the level behind transparent pixels where transparency cannot be kept."""

_ORIENTATION = 0x0112
_INNER_EXIF = (0x8769, 0x8825, 0xA005)
"""Tags that point to the EXIF, GPS and interoperability directories."""

_BITS_PER_SAMPLE = 258
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
_SAMPLE_FORMAT, _SIGNED = 339, 2
"""TIFF tags and their values."""

_SIXTEEN_BITS = (None, "PNG", "PPM", "TIFF", "JPEG2000")
"""Formats whose 16-bit levels range from black to white; None is an array."""

_QUIET = threading.Lock()


def list_pictures(folder: Path) -> list[str]:
    """List the pictures below a folder, as relative paths; a folder's own come before subfolders'.

    Hidden files and folders, among them unfinished outputs of this program, are skipped. Links to
    folders are followed unless they lead to a parent. Raises DataError for an unreadable folder.
    """
    above = frozenset(_identity(parent) for parent in Path(os.path.realpath(folder)).parents)
    folders: list[tuple[tuple[str, ...], list[str]]] = []
    pending: list[tuple[tuple[str, ...], frozenset[tuple[int, int]]]] = [((), above)]
    while pending:
        place, holders = pending.pop()
        path = os.path.join(folder, *place)
        with data_errors(Path(path)):
            identity = _identity(path)
            if identity in holders:
                continue
            names = []
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if _is_folder(entry):
                        pending.append(((*place, entry.name), holders | {identity}))
                    elif entry.name.lower().endswith(PICTURES):
                        names.append(entry.name)
        folders.append((place, sorted(names)))
    return ["/".join((*place, name)) for place, names in sorted(folders) for name in names]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # entry.is_dir() raises for a link that leads to itself.
    if entry.is_symlink():
        return os.path.isdir(entry.path)
    return entry.is_dir(follow_symlinks=False)


def _identity(path: str | Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def no_pictures_error(folder: Path) -> DataError:
    """Return the error for a folder without pictures."""
    return DataError(f"{folder} holds no pictures ({', '.join(PICTURES)})")


def printable(name: str) -> str:
    """Return a file name as valid Unicode, replacing undecodable bytes."""
    return os.fsencode(name).decode("utf-8", "replace")


def error_reason(error: DataError, path: Path) -> str:
    """Return the message of a picture's error without the picture's name."""
    text = str(error).removeprefix(f"cannot read the picture {path}: ")
    return text.removeprefix(f"{path}: ").removeprefix(f"{path} ")


@contextmanager
def open_picture(path: Path) -> Iterator[Image]:
    """Open a picture, or the first frame of an animation, without decoding it.

    Whatever Pillow raises for it in the body becomes a DataError.
    """
    from PIL import Image, UnidentifiedImageError

    with data_errors(path, "the picture"):
        check_regular(path)
        if not path.stat().st_size:
            raise DataError(f"{path} is empty")
        try:
            with _suppress_warnings():
                picture = Image.open(path)
                if picture.format == "EPS":
                    raise DataError(f"{path} is EPS, which is not supported: it is a program")
        except UnidentifiedImageError:
            raise DataError(f"{path} is not a picture, .npy, .npz or IDX file") from None
        with picture:
            yield picture


@contextmanager
def open_encoded(content: bytes, name: str, formats: tuple[str, ...]) -> Iterator[Image]:
    """Open the content of a picture file as `open_picture` does, if it has one of these formats.

    Errors call it `name`.
    """
    from PIL import Image, UnidentifiedImageError

    with data_errors(Path(name)):
        try:
            with _suppress_warnings():
                picture = Image.open(io.BytesIO(content), formats=formats)
        except UnidentifiedImageError:
            expected = f"{', '.join(formats[:-1])} or {formats[-1]}"
            raise DataError(f"{name}: expected a picture of {expected}") from None
        with picture:
            yield picture


def decode_picture(path: Path) -> Image:
    """Read a picture upright, in mode L, LA, RGB or RGBA. Raises DataError."""
    with open_picture(path) as picture:
        return apply_orientation(picture)


def apply_orientation(picture: Image) -> Image:
    """Decode an open picture to mode L, LA, RGB or RGBA and apply its EXIF orientation."""
    from PIL import Image

    _drop_inner_exif(picture)
    picture.load()
    turns: dict[object, Image.Transpose] = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    turn = turns.get(_orientation(picture))
    pixels = to_plain_mode(picture)
    return pixels if turn is None else pixels.transpose(turn)


def _drop_inner_exif(picture: Image) -> None:
    """Keep Pillow from reading a TIFF's EXIF directories, which may be damaged, when decoding."""
    if picture.format != "TIFF":
        return
    with suppress(Exception), _suppress_warnings():
        for pointer in _INNER_EXIF:
            picture.getexif().pop(pointer, None)


def _orientation(picture: Image) -> object:
    # ImageOps.exif_transpose rewrites the whole EXIF, and fails where that is damaged.
    try:
        with _suppress_warnings():
            value: object = picture.getexif().get(_ORIENTATION)
            hash(value)
    except Exception:  # Pillow may raise anything for damaged EXIF; the pixels are still good.
        return None
    return value


def to_plain_mode(picture: Image) -> Image:
    """Convert a picture to mode L or RGB, or with transparency LA or RGBA.

    16-bit levels keep their 8 leading bits. Raises ValueError for pixels of unknown range (floats,
    signed and 32-bit integers) and for modes that Pillow cannot convert.
    """
    grey, deep = picture.mode in ("1", "L", "LA", "La"), _has_16_bits(picture)
    kind = {"F": "floats", "I": "32-bit integers"}.get(picture.mode)
    if picture.mode.startswith("I;16"):
        kind = "16-bit integers"
    if _SIGNED in _tag(picture, _SAMPLE_FORMAT):
        kind, deep = "signed integers", False
    if kind is not None and not deep:
        raise ValueError(f"its pixels are {kind}, whose range is not known; expected 8 or 16 bits")
    transparent = bool(picture.has_transparency_data)
    if deep:
        return _keep_leading_bits(picture)
    mode = ("L" if grey else "RGB") + "A" * transparent
    return picture if picture.mode == mode else picture.convert(mode)


def _tag(picture: Image, number: int) -> tuple[object, ...]:
    """Return the values of a TIFF tag, or none."""
    values: object = getattr(picture, "tag_v2", {}).get(number, ())
    return values if isinstance(values, tuple) else (values,)


def _has_16_bits(picture: Image) -> bool:
    if picture.mode == "I":  # older versions of Pillow read 16 bits to mode I
        return picture.format in ("PNG", "PPM")
    # Other formats (FITS, McIDAS) hold measurements of unknown range.
    return picture.mode.startswith("I;16") and picture.format in _SIXTEEN_BITS


def _keep_leading_bits(picture: Image) -> Image:
    from PIL import Image

    levels = np.asarray(picture)
    shift = 4 if _tag(picture, _BITS_PER_SAMPLE) == (12,) else 8
    eight = (levels >> shift).astype(np.uint8)
    # Pillow inverts pictures in which 0 is white only up to 8 bits.
    pixels = Image.fromarray(~eight if _tag(picture, _PHOTOMETRIC) == (_WHITE_IS_ZERO,) else eight)
    hidden = picture.info.get("transparency")
    if isinstance(hidden, int):
        alpha = np.where(levels == hidden, 0, 255).astype(np.uint8)
        pixels.putalpha(Image.fromarray(alpha))
    return pixels


def flatten_alpha(picture: Image) -> Image:
    """Compose a picture of mode L, LA, RGB or RGBA on `BACKGROUND`, in mode L or RGB."""
    if not picture.mode.endswith("A"):
        return picture
    from PIL import Image

    mode = picture.mode.removesuffix("A")
    ground = Image.new(mode, picture.size, (BACKGROUND,) * len(mode))
    ground.paste(picture.convert(mode), mask=picture.getchannel("A"))
    return ground


@contextmanager
def _suppress_warnings() -> Iterator[None]:
    """Suppress Pillow's warnings about metadata and large pictures.

    Warning filters are shared by all threads, so a lock serialises the changes.
    """
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
