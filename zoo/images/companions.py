"""Pictures that accompany other pictures, such as ground truth or masks."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError
from zoo.images.fitting import read_picture
from zoo.images.pictures import PICTURES, list_pictures
from zoo.images.stream import ImageStream

Images = NDArray[np.uint8]
Shape = tuple[int, int, int]

_LISTED = 5
_INDEX = re.compile(r"(?:(.+):)?(\d+)")


def stem(name: str) -> str:
    """Return the file name, without suffix, for files that belong to the image `name`.

    Names are those of zoo.images.stream.Block: `a.png` → `a`, `folder/a.png` → `folder/a`,
    and for an image of an array `7` → `00000007`, `b.npy:7` → `b-00000007`.
    """
    match = _INDEX.fullmatch(name)
    if match is None:
        return str(PurePosixPath(name).with_suffix(""))
    array, index = match.groups()
    return f"{PurePosixPath(array).stem}-{index:0>8}" if array else f"{index:0>8}"


class Companions:
    """One companion picture [H, W, C] uint8 of `shape` for each image of a sequence.

    `path` is a folder of pictures with the same names as the images (the format may differ),
    a single picture (used for every image if `shared`), or an array, including IDX files,
    whose images are used in order. Error messages call the companions `what`. `resize` is
    that of zoo.images.read. Raises DataError, as does `load`.
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
        self._files: dict[str, list[str]] | None = None
        if os.path.isdir(self._path):
            self._files = {}
            for file in list_pictures(self._path):
                self._files.setdefault(str(PurePosixPath(file).with_suffix("")), []).append(file)
            return
        stream = ImageStream([path], shape, resize)
        self._count = stream.total
        self._images = (image for block in stream for image in block.images)
        self.ordered = self._count != 1
        if not self.ordered and shared:
            self._single = next(self._images)

    def load(self, names: Sequence[str], first: int) -> Images:
        """Return the companions [k, H, W, C] of images first … first + k - 1.

        Blocks must be requested in order. Raises DataError, listing images without a companion.
        """
        if self._files is not None:
            return self._load_by_name(names, self._files)
        if self._single is not None:
            return np.broadcast_to(self._single, (len(names), *self._shape))
        images = list(islice(self._images, first - self._next, first - self._next + len(names)))
        self._next = first + len(names)
        if len(images) < len(names):
            raise DataError(
                f"{self._path}: expected one {self._what} for each image, got {self._count} in all"
            )
        return np.stack(images)

    def _load_by_name(self, names: Sequence[str], files: dict[str, list[str]]) -> Images:
        images = np.empty((len(names), *self._shape), np.uint8)
        missing = []
        for index, name in enumerate(names):
            candidates = files.get(stem(name), [])
            if not candidates:
                missing.append(name)
            elif not missing:
                # Prefer the identical file name, then the order of formats in PICTURES.
                file = min(candidates, key=lambda file: (file != name, _format_rank(file)))
                images[index] = read_picture(self._path / file, self._shape, self._resize)
        if missing:
            more = f" and {len(missing) - _LISTED:,} more" if len(missing) > _LISTED else ""
            raise DataError(
                f"{self._path} has no {self._what} for {', '.join(missing[:_LISTED])}{more}"
            )
        return images


def _format_rank(file: str) -> int:
    return PICTURES.index(PurePosixPath(file).suffix.lower())
