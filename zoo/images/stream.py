"""Reader of image files of any common format, block by block in constant memory."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError
from zoo.images import arrays, pictures
from zoo.images.fitting import batch_shape, from_array, read_picture

Images = NDArray[np.uint8]
Shape = tuple[int, int, int]

BLOCK = 1024
_BLOCK_BYTES = 2**26


class Block(NamedTuple):
    """Block of images [k, H, W, C] uint8, and a name for each."""

    images: Images
    names: list[str]


def is_picture(path: Path) -> bool:
    """Return True if a path is a picture, possibly damaged or empty. Raises DataError."""
    if os.path.isdir(path):
        return False
    if os.path.isfile(path) and not os.path.getsize(path):
        return True
    return not arrays.is_array(path)


def no_usable_images(skipped: Sequence[tuple[str, str]]) -> DataError:
    """Return the error for the case that all pictures, at least one, are in `skipped`."""
    file, reason = skipped[0]
    return DataError(
        f"no image can be used: {len(skipped)} skipped, the first of them {file}: {reason}"
    )


class ImageStream:
    """Stream of the images of `paths` in blocks of at most `block`; can be iterated repeatedly.

    A path is a picture, a folder of pictures (searched recursively), `.npy` or `.npz` (uint8, or
    floats in [0, 1]; [n, H, W, C], [n, H, W], or one image), or an IDX file, gzip-compressed or
    not. `shape` is (H, W, C) with C = 1, 2 (grey and alpha), 3 or 4. `resize` converts pictures of
    another size or mode (`zoo.images.fitting.read_picture`). Reading stops after `limit` images.

    Folders are listed once, on construction, so that a run never reads its own output. Pictures
    that cannot be used are skipped and listed in `skipped` as (path, reason); with `strict`, or if
    there is no other path, they are errors. All other problems raise DataError: on construction if
    names and headers show them, else while iterating, also if images have changed since the last
    iteration.
    """

    def __init__(
        self,
        paths: Sequence[str],
        shape: Shape,
        resize: bool = False,
        strict: bool = False,
        block: int = BLOCK,
        limit: int | None = None,
    ) -> None:
        self.shape = shape
        self.skipped: list[tuple[str, str]] = []
        self._paths = [Path(path) for path in paths]
        self._resize = resize
        self._strict = strict
        self._limit = limit
        self._rows = max(1, min(block, _BLOCK_BYTES // max(1, math.prod(shape))))
        if not self._paths:
            raise DataError("no images given")
        self._files: dict[Path, list[str]] = {}
        self._reasons: dict[Path, list[str]] = {}
        self._counts = {path: self._count(path) for path in self._paths}
        self.total: int | None = sum(self._counts[path] for path in self._paths)
        """Number of images, including those that may turn out to be unusable."""

    def __iter__(self) -> Iterator[Block]:
        self.skipped = []
        images, names, seen = self._buffer(), list[str](), 0
        for part in self._parts():
            done = 0
            while done < len(part.images):
                rows = min(self._rows - len(names), len(part.images) - done)
                if self._limit is not None:
                    rows = min(rows, self._limit - seen - len(names))
                images[len(names) : len(names) + rows] = part.images[done : done + rows]
                names += part.names[done : done + rows]
                done += rows
                last = seen + len(names) == self._limit
                if last or len(names) == self._rows:
                    yield Block(images[: len(names)], names)
                    if last:
                        return
                    seen += self._rows
                    images, names = self._buffer(), []
        if names:
            yield Block(images[: len(names)], names)
        elif not seen:
            raise no_usable_images(self.skipped)

    def _buffer(self) -> Images:
        return np.empty((self._rows, *self.shape), np.uint8)

    def _parts(self) -> Iterator[Block]:
        for path in self._paths:
            if path in self._files:
                yield from self._pictures(path, path, self._files[path])
            elif is_picture(path):
                yield from self._pictures(path, path.parent, [path.name])
            else:
                yield from self._array(path)

    def _count(self, path: Path) -> int:
        if os.path.isdir(path):
            self._files[path] = pictures.list_pictures(path)
            if not self._files[path]:
                raise pictures.no_pictures_error(path)
            return len(self._files[path])
        if is_picture(path):
            return 1
        with self._open_array(path) as array:
            return array.shape[0]

    def _pictures(self, path: Path, folder: Path, names: Sequence[str]) -> Iterator[Block]:
        """Yield the pictures `names` in `folder`, which belong to the stream's `path`."""
        known = self._reasons.setdefault(path, [])
        for index, name in enumerate(names):
            file = folder / name
            picture, reason = self._picture(file)
            if index == len(known):
                known.append(reason)
            elif bool(reason) != bool(known[index]):
                # The images after it would get other indices than before.
                raise DataError(f"{file} has changed: {reason or 'it can be read now'}")
            if picture is None:
                self.skipped.append((pictures.printable(str(file)), reason))
            else:
                yield Block(picture[None], [pictures.printable(name)])

    def _picture(self, file: Path) -> tuple[Images | None, str]:
        """Return a picture, or None and the reason why it cannot be used."""
        try:
            if not os.path.isfile(file):
                raise DataError(f"{file} is not a file")
            return read_picture(file, self.shape, self._resize), ""
        except DataError as error:
            if self._strict or self._paths == [file]:
                raise
            return None, pictures.error_reason(error, file)

    @contextmanager
    def _open_array(self, path: Path) -> Iterator[arrays.ArrayFile]:
        """Open an array file as [n, H, W, C], after checking its header."""
        with arrays.open_array(path) as array:
            images = batch_shape(array.shape, self.shape)
            numbers = array.dtype == np.uint8 or array.dtype.kind == "f"
            usable = len(images) == 4 and 0 not in images and numbers
            resizable = self._resize and images[3:] in ((1,), (3,), (4,))
            if not usable or (images[1:] != self.shape and not resizable):
                hint = "" if self._resize or not usable else " (--resize converts pictures)"
                raise DataError(
                    f"{path}: expected [n, {', '.join(map(str, self.shape))}], uint8 or floats "
                    f"in [0, 1]; got {array.description}{hint}"
                )
            array.shape = images
            yield array

    def _array(self, path: Path) -> Iterator[Block]:
        with self._open_array(path) as array:
            count = array.shape[0]
            if count != self._counts[path]:
                raise DataError(
                    f"{path} has changed: it held {self._counts[path]} images, now {count}"
                )
            row_bytes = math.prod(array.shape[1:]) * array.dtype.itemsize
            block = max(1, min(self._rows, _BLOCK_BYTES // row_bytes))
            for start in range(0, count, block):
                rows = array.read(block)
                images = from_array(rows, path, self.shape, self._resize, array.description)
                yield Block(images, self._names(path, start, len(images), count))

    def _names(self, path: Path, start: int, rows: int, count: int) -> list[str]:
        if count == 1:
            return [pictures.printable(path.name)]
        prefix = f"{pictures.printable(path.name)}:" if len(self._paths) > 1 else ""
        return [f"{prefix}{index}" for index in range(start, start + rows)]
