"""Picture files: which there are below a folder, and their pixels in one of four modes.

Pillow is imported where it is used.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import DataError
from zoo.images.reading import check_regular, readable

if TYPE_CHECKING:
    from PIL.Image import Image

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
"""What is looked for in a folder; a file given by name may be any picture that Pillow reads."""

BACKGROUND = 255
"""What is seen through transparent pixels where transparency cannot be kept: white."""

_ORIENTATION = 0x0112
_INNER_EXIF = (0x8769, 0x8825, 0xA005)
"""The tags that point to EXIF proper, GPS, and interoperability."""

_BITS_PER_SAMPLE = 258
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
_SAMPLE_FORMAT, _SIGNED = 339, 2
"""Tags of TIFF, and values of them."""

_SIXTEEN_BITS = (None, "PNG", "PPM", "TIFF", "JPEG2000")
"""Formats of pictures whose 16 bits go from black to white; None: an array."""

_QUIET = threading.Lock()


def listed(folder: Path) -> list[str]:
    """The pictures below a folder, as paths relative to it; those of a folder before its folders'.

    Hidden files and folders are left out: what programs keep there, unfinished outputs of this one
    included, nobody means. Linked folders are looked into, except for those that hold the link.
    Raises DataError for a folder that cannot be read.
    """
    above = frozenset(_identity(parent) for parent in Path(os.path.realpath(folder)).parents)
    found: list[tuple[tuple[str, ...], list[str]]] = []
    waiting: list[tuple[tuple[str, ...], frozenset[tuple[int, int]]]] = [((), above)]
    while waiting:
        place, holders = waiting.pop()
        path = os.path.join(folder, *place)
        with readable(Path(path)):
            identity = _identity(path)
            if identity in holders:
                continue
            names = []
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if _is_folder(entry):
                        waiting.append(((*place, entry.name), holders | {identity}))
                    elif entry.name.lower().endswith(PICTURES):
                        names.append(entry.name)
        found.append((place, sorted(names)))
    return ["/".join((*place, name)) for place, names in sorted(found) for name in names]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # A link that leads to itself is none, and entry.is_dir() raises for it.
    if entry.is_symlink():
        return os.path.isdir(entry.path)
    return entry.is_dir(follow_symlinks=False)


def _identity(path: str | Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def no_pictures(folder: Path) -> DataError:
    """That there is no picture in a folder."""
    return DataError(f"{folder} holds no pictures ({', '.join(PICTURES)})")


def printable(name: str) -> str:
    """A file name as valid Unicode, which names of other encodings are not."""
    return os.fsencode(name).decode("utf-8", "replace")


def reason(error: DataError, path: Path) -> str:
    """What is wrong with a picture, without its name."""
    text = str(error).removeprefix(f"cannot read the picture {path}: ")
    return text.removeprefix(f"{path}: ").removeprefix(f"{path} ")


@contextmanager
def opened(path: Path) -> Iterator[Image]:
    """The picture at `path`, not decoded yet; what Pillow raises for it in the body is a DataError.

    Of an animation it is the first frame.
    """
    from PIL import Image, UnidentifiedImageError

    with readable(path, "the picture"):
        check_regular(path)
        if not path.stat().st_size:
            raise DataError(f"{path} is empty")
        try:
            with _quietly():
                picture = Image.open(path)
                if picture.format == "EPS":
                    raise DataError(f"{path} is EPS, a program, which is not run")
        except UnidentifiedImageError:
            raise DataError(f"{path} is not a picture, .npy, .npz or IDX file") from None
        with picture:
            yield picture


def decoded(path: Path) -> Image:
    """The picture at `path`, as `upright` gives it. Raises DataError for a bad one."""
    with opened(path) as picture:
        return upright(picture)


def upright(picture: Image) -> Image:
    """An open picture as its EXIF orientation shows it, in mode L, LA, RGB or RGBA (`plain`)."""
    from PIL import Image

    _without_inner_exif(picture)
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
    pixels = plain(picture)
    return pixels if turn is None else pixels.transpose(turn)


def _without_inner_exif(picture: Image) -> None:
    """Keeps TIFF from reading what its EXIF points to when it is decoded: that may be odd."""
    if picture.format != "TIFF":
        return
    with suppress(Exception), _quietly():
        for pointer in _INNER_EXIF:
            picture.getexif().pop(pointer, None)


def _orientation(picture: Image) -> object:
    # ImageOps.exif_transpose writes the rest of the EXIF again, and fails where that is odd.
    try:
        with _quietly():
            value: object = picture.getexif().get(_ORIENTATION)
            hash(value)
    except Exception:  # Pillow raises anything for damaged EXIF, and the pixels are good.
        return None
    return value


def plain(picture: Image) -> Image:
    """A picture with the same pixels in mode L or RGB, with transparency LA or RGBA.

    Of 16 bits the 8 leading ones are kept. Raises ValueError for pixels whose range is not known
    (floats, signed and 32-bit integers), and for other modes that Pillow cannot convert.
    """
    grey, deep = picture.mode in ("1", "L", "LA", "La"), _sixteen_bits(picture)
    kind = {"F": "floats", "I": "32-bit integers"}.get(picture.mode)
    if picture.mode.startswith("I;16"):
        kind = "16-bit integers"
    if _SIGNED in _tag(picture, _SAMPLE_FORMAT):
        kind, deep = "signed integers", False
    if kind is not None and not deep:
        raise ValueError(f"its pixels are {kind}, whose range is not known; expected 8 or 16 bits")
    transparent = bool(picture.has_transparency_data)
    if deep:
        return _leading_bits(picture)
    mode = ("L" if grey else "RGB") + "A" * transparent
    return picture if picture.mode == mode else picture.convert(mode)


def _tag(picture: Image, number: int) -> tuple[object, ...]:
    """The values of a tag of a TIFF, in which Pillow leaves some of them to us."""
    values: object = getattr(picture, "tag_v2", {}).get(number, ())
    return values if isinstance(values, tuple) else (values,)


def _sixteen_bits(picture: Image) -> bool:
    if picture.mode == "I":  # Pillow's mode for 16 bits in these two, too
        return picture.format in ("PNG", "PPM")
    # Others (FITS, McIDAS) hold measurements, and do not say of what range.
    return picture.mode.startswith("I;16") and picture.format in _SIXTEEN_BITS


def _leading_bits(picture: Image) -> Image:
    from PIL import Image

    levels = np.asarray(picture)
    shift = 4 if _tag(picture, _BITS_PER_SAMPLE) == (12,) else 8
    eight = (levels >> shift).astype(np.uint8)
    # Pillow inverts what is white at 0 only where it has 8 bits or fewer.
    pixels = Image.fromarray(~eight if _tag(picture, _PHOTOMETRIC) == (_WHITE_IS_ZERO,) else eight)
    hidden = picture.info.get("transparency")
    if isinstance(hidden, int):
        alpha = np.where(levels == hidden, 0, 255).astype(np.uint8)
        pixels.putalpha(Image.fromarray(alpha))
    return pixels


def composed(picture: Image) -> Image:
    """A picture of mode L, LA, RGB or RGBA on a plain `BACKGROUND`, in mode L or RGB."""
    if not picture.mode.endswith("A"):
        return picture
    from PIL import Image

    mode = picture.mode.removesuffix("A")
    ground = Image.new(mode, picture.size, (BACKGROUND,) * len(mode))
    ground.paste(picture.convert(mode), mask=picture.getchannel("A"))
    return ground


@contextmanager
def _quietly() -> Iterator[None]:
    """Without Pillow's warnings of odd metadata and large pictures; what is too large is an error.

    Filters of warnings belong to all threads, so one at a time changes them.
    """
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


__all__ = [
    "BACKGROUND",
    "PICTURES",
    "composed",
    "decoded",
    "listed",
    "no_pictures",
    "opened",
    "plain",
    "printable",
    "reason",
    "upright",
]
