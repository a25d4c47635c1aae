"""Images from files of any common kind, block by block: memory does not grow with their number."""

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
from zoo.images.fitting import from_array, read_picture, with_channels

Images = NDArray[np.uint8]
Shape = tuple[int, int, int]

BLOCK = 1024
_BLOCK_BYTES = 2**26


class Block(NamedTuple):
    """Some images [k, H, W, C] uint8, and a name for each."""

    images: Images
    names: list[str]


def is_picture(path: Path) -> bool:
    """Whether a path is one picture, good or bad; an empty file is a bad one. Raises DataError."""
    if os.path.isdir(path):
        return False
    if os.path.isfile(path) and not os.path.getsize(path):
        return True
    return not arrays.is_array(path)


def nothing_left(skipped: Sequence[tuple[str, str]]) -> DataError:
    """The error where all pictures are in `skipped`, of which there is one at least."""
    file, reason = skipped[0]
    return DataError(
        f"no image can be used: {len(skipped)} skipped, the first of them {file}: {reason}"
    )


class ImageStream:
    """The images of `paths` in order, as blocks of at most `block`; may be iterated again.

    A path is a picture, a folder of pictures (with all folders in it, by name, as
    `zoo.images.pictures.listed` finds them), `.npy` or `.npz` (uint8, or floats in
    [0, 1]; [n, H, W, C], [n, H, W], or one image), or an IDX file, gzip-compressed
    or not. `shape` is (H, W, C) with C = 1, 2 (grey and alpha), 3 or 4. `resize`
    converts pictures of another size or mode (`zoo.images.fitting.read_picture`).

    Folders are listed here, once: a run never reads what it writes into one of
    them. Pictures that cannot be used are left out and listed in `skipped`, as (path,
    reason); with `strict`, or where no other path was given, they are errors. Everything else that
    is wrong is a DataError: here for what can be told from the names and headers,
    else while iterating, images that are others than the time before included.
    After `limit` images nothing more is read.
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
        self._listed: dict[Path, list[str]] = {}
        self._reasons: dict[Path, list[str]] = {}
        self._counts = {path: self._count(path) for path in self._paths}
        self.total: int | None = sum(self._counts[path] for path in self._paths)
        """Number of images, those that may turn out to be unusable included."""

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
            raise nothing_left(self.skipped)

    def _buffer(self) -> Images:
        return np.empty((self._rows, *self.shape), np.uint8)

    def _parts(self) -> Iterator[Block]:
        for path in self._paths:
            if path in self._listed:
                yield from self._pictures(path, path, self._listed[path])
            elif is_picture(path):
                yield from self._pictures(path, path.parent, [path.name])
            else:
                yield from self._array(path)

    def _count(self, path: Path) -> int:
        if os.path.isdir(path):
            self._listed[path] = pictures.listed(path)
            if not self._listed[path]:
                raise pictures.no_pictures(path)
            return len(self._listed[path])
        if is_picture(path):
            return 1
        with self._opened(path) as array:
            return array.shape[0]

    def _pictures(self, path: Path, folder: Path, names: Sequence[str]) -> Iterator[Block]:
        """The pictures of a path that was given, which are files in a folder."""
        known = self._reasons.setdefault(path, [])
        for index, name in enumerate(names):
            file = folder / name
            picture, reason = self._picture(file)
            if index == len(known):
                known.append(reason)
            elif bool(reason) != bool(known[index]):
                # The images after it would have other indices than before.
                raise DataError(f"{file} has changed: {reason or 'it can be read now'}")
            if picture is None:
                self.skipped.append((pictures.printable(str(file)), reason))
            else:
                yield Block(picture[None], [pictures.printable(name)])

    def _picture(self, file: Path) -> tuple[Images | None, str]:
        """A picture, or why it cannot be used; DataError for the only one that was given."""
        try:
            if not os.path.isfile(file):
                raise DataError(f"{file} is not a file")
            return read_picture(file, self.shape, self._resize), ""
        except DataError as error:
            if self._strict or self._paths == [file]:
                raise
            return None, pictures.reason(error, file)

    @contextmanager
    def _opened(self, path: Path) -> Iterator[arrays.ArrayFile]:
        """The array in the file `path` as [n, H, W, C], checked as far as its header tells."""
        with arrays.opened(path) as array:
            images = with_channels(array.shape, self.shape)
            numbers = array.dtype == np.uint8 or array.dtype.kind == "f"
            usable = len(images) == 4 and 0 not in images and numbers
            resizable = self._resize and images[3:] in ((1,), (3,), (4,))
            if not usable or (images[1:] != self.shape and not resizable):
                hint = "" if self._resize or not usable else " (--resize converts pictures)"
                raise DataError(
                    f"{path}: expected [n, {', '.join(map(str, self.shape))}], uint8 or floats "
                    f"in [0, 1]; got {array.said}{hint}"
                )
            array.shape = images
            yield array

    def _array(self, path: Path) -> Iterator[Block]:
        with self._opened(path) as array:
            count = array.shape[0]
            if count != self._counts[path]:
                raise DataError(
                    f"{path} has changed: it held {self._counts[path]} images, now {count}"
                )
            row_bytes = math.prod(array.shape[1:]) * array.dtype.itemsize
            block = max(1, min(self._rows, _BLOCK_BYTES // row_bytes))
            for start in range(0, count, block):
                rows = array.read(block)
                images = from_array(rows, path, self.shape, self._resize, array.said)
                yield Block(images, self._names(path, start, len(images), count))

    def _names(self, path: Path, start: int, rows: int, count: int) -> list[str]:
        if count == 1:
            return [pictures.printable(path.name)]
        prefix = f"{pictures.printable(path.name)}:" if len(self._paths) > 1 else ""
        return [f"{prefix}{index}" for index in range(start, start + rows)]


__all__ = ["BLOCK", "Block", "ImageStream", "is_picture", "nothing_left"]
