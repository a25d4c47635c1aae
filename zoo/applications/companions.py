"""Pictures that belong to other pictures: the truth of each, or the mask of each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError
from zoo.images.fitting import read_picture
from zoo.images.pictures import PICTURES
from zoo.images.stream import ImageStream

Images = NDArray[np.uint8]
Shape = tuple[int, int, int]

_LISTED = 5
_INDEX = re.compile(r"(?:(.+):)?(\d+)")


def stem(name: str) -> str:
    """What files that belong to the image of that name are called, without a suffix.

    `name` is as in zoo.images.stream.Block: `a.png` → `a`, `folder/a.png` → `folder/a`,
    and for an image of an array `7` → `00000007`, `b.npy:7` → `b-00000007`.
    """
    match = _INDEX.fullmatch(name)
    if match is None:
        return str(PurePosixPath(name).with_suffix(""))
    array, index = match.groups()
    return f"{PurePosixPath(array).stem}-{index:0>8}" if array else f"{index:0>8}"


class Companions:
    """One picture [H, W, C] uint8 of `shape` for each image of a sequence.

    `path` is a folder, in which the picture of the same name is taken whatever its
    kind; or a picture, which is that of all images if `shared` and else of the only
    one; or an array, IDX files included, whose images are taken in order. `what` is
    what they are called in messages. `resize` as in zoo.images.read.
    Raises DataError, as `of` does.
    """

    def __init__(
        self,
        path: str,
        shape: Shape,
        resize: bool = False,
        what: str = "truth",
        shared: bool = False,
    ) -> None:
        self._path = Path(path)
        self._shape = shape
        self._resize = resize
        self._what = what
        self._single: Images | None = None
        self._next = 0
        self.ordered = False
        if self._path.is_dir():
            return
        stream = ImageStream([path], shape, resize)
        self._count = stream.total
        self._images = (image for block in stream for image in block.images)
        self.ordered = self._count != 1
        if not self.ordered and shared:
            self._single = next(self._images)

    def of(self, names: Sequence[str], first: int) -> Images:
        """Those of the images first … first + k - 1, [k, H, W, C].

        Blocks are asked for in order. Lists the images that have none.
        """
        if self._path.is_dir():
            return self._by_name(names)
        if self._single is not None:
            return np.broadcast_to(self._single, (len(names), *self._shape))
        found = list(islice(self._images, first - self._next, first - self._next + len(names)))
        self._next = first + len(names)
        if len(found) < len(names):
            raise DataError(
                f"{self._path}: expected one {self._what} for each image, got {self._count} in all"
            )
        return np.stack(found)

    def _by_name(self, names: Sequence[str]) -> Images:
        found = np.empty((len(names), *self._shape), np.uint8)
        missing = []
        for index, name in enumerate(names):
            file = next((file for file in self._candidates(name) if file.is_file()), None)
            if file is None:
                missing.append(name)
            elif not missing:
                found[index] = read_picture(file, self._shape, self._resize)
        if missing:
            more = f" and {len(missing) - _LISTED:,} more" if len(missing) > _LISTED else ""
            raise DataError(
                f"{self._path} has no {self._what} for {', '.join(missing[:_LISTED])}{more}"
            )
        return found

    def _candidates(self, name: str) -> Iterator[Path]:
        yield self._path / name
        base = stem(name)
        for suffix in PICTURES:
            yield self._path / f"{base}{suffix}"
            yield self._path / f"{base}{suffix.upper()}"


__all__ = ["Companions", "stem"]
