"""Input images of a command: files, or a split of a data set."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ConfigError, DataError
from zoo.images.stream import BLOCK, Block, ImageStream

if TYPE_CHECKING:
    from zoo.data import DataSet, Split

Shape = tuple[int, int, int]


class Source:
    """Images in blocks, in order; may be iterated again.

    name: for titles; labels: int64 [n], or None if unknown; classes: their names; attributes: int8
    [n, K] of values ±1, or None; attribute_names: K strings; data: the whole data set, or None for
    files; total: number of images, including unusable ones, or None if unknown.
    """

    def __init__(
        self,
        name: str,
        blocks: Iterable[Block],
        total: int | None,
        limit: int | None = None,
        split: Split | None = None,
        data: DataSet | None = None,
    ) -> None:
        self.name = name
        self.total = total if limit is None or total is None else min(total, limit)
        self.labels: NDArray[np.int64] | None = split.labels if split else None
        self.attributes: NDArray[np.int8] | None = split.attributes if split else None
        if self.labels is not None:
            self.labels = self.labels[:limit]
        if self.attributes is not None:
            self.attributes = self.attributes[:limit]
        self.classes: list[str] = data.classes if data else []
        self.attribute_names: list[str] = data.attributes if data else []
        self.data = data
        self._blocks = blocks
        self._limit = limit

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """(path, reason) of each image that has been skipped so far."""
        of_data = self.data.skipped if self.data else []
        return [*of_data, *getattr(self._blocks, "skipped", [])]

    def class_name(self, label: int) -> str:
        """Return the name of a class, or `class 3` if it has none."""
        return self.classes[label] if 0 <= label < len(self.classes) else f"class {label}"

    def __iter__(self) -> Iterator[Block]:
        left = self._limit
        for images, names in self._blocks:
            if left is not None:
                images, names = images[:left], names[:left]
                left -= len(names)
            yield Block(images, names)
            if left == 0:
                return


class _SplitBlocks:
    """Blocks of a split's images, named by their index."""

    def __init__(self, images: NDArray[np.uint8], rows: int) -> None:
        self._images = images
        self._rows = rows

    def __iter__(self) -> Iterator[Block]:
        for start in range(0, len(self._images), self._rows):
            images = self._images[start : start + self._rows]
            yield Block(images, [str(start + i) for i in range(len(images))])


def open_source(
    images: Sequence[str],
    data: str | None,
    split: str,
    shape: Shape,
    resize: bool = False,
    strict: bool = False,
    limit: int | None = None,
) -> Source:
    """Open the pictures and arrays at the paths `images`, or `split` of the data set `data`.

    `shape` (H, W, C) is the engine's input shape; `resize` converts other pictures to it. `limit`
    is the largest number of images. Raises ConfigError unless exactly one of `images` and `data` is
    given, and DataError as ImageStream and `zoo.data.load` do.
    """
    if bool(images) == (data is not None):
        both = "not both" if images else "got neither"
        raise ConfigError(f"expected IMAGES or --data SET, {both}")
    if data is None:
        stream = ImageStream(images, shape, resize, strict, limit=limit)
        name = Path(images[0]).name if len(images) == 1 else f"{len(images)} files"
        return Source(name, stream, stream.total, limit)
    loaded = load_data(data, shape, resize)
    if strict and loaded.skipped:
        name, reason = loaded.skipped[0]
        raise DataError(f"cannot read the picture {name}: {reason}")
    return split_source(loaded, split, limit)


@dataclass(frozen=True)
class Selection:
    """Images selected by a command's options, the arguments of `open_source`."""

    images: tuple[str, ...] = ()
    data: str | None = None
    split: str = "test"
    count: int | None = None
    resize: bool = False
    strict: bool = False

    def open(self, shape: Shape) -> Source:
        """Open the images, of `shape` (H, W, C). Raises as `open_source`."""
        return open_source(
            self.images, self.data, self.split, shape, self.resize, self.strict, self.count
        )


def split_source(data: DataSet, split: str, limit: int | None = None) -> Source:
    """Return a source of at most `limit` images of a split."""
    part = data.parts[split]
    blocks = _SplitBlocks(part.images, BLOCK)
    return Source(f"{data.name} {split}", blocks, len(part), limit, part, data)


def load_data(data: str, shape: Shape, resize: bool = False) -> DataSet:
    """Load a data set by name, file or folder, with images of `shape`. Raises DataError."""
    # Imports Pillow, which images in arrays do not need.
    from zoo import data as sets
    from zoo.data.celeba import peek

    height, width, channels = shape
    # Data sets can be resized to squares only.
    fits = resize and height == width and channels in (1, 3)

    def check(got: tuple[int, ...] | None) -> None:
        if got is not None and got != shape:
            hint = " (--resize converts them)" if not fits and height == width else ""
            raise DataError(
                f"{data} holds images of {'×'.join(map(str, got))}, but the engine takes "
                f"{'×'.join(map(str, shape))}{hint}"
            )

    if not fits:
        # Check one picture first, because unresized CelebA is 19 GB.
        check(peek(Path(data)))
    loaded = sets.load(data, height, channels) if fits else sets.load(data)
    check(loaded.train.images.shape[1:])
    return loaded


def report_skipped(source: Source | ImageStream | DataSet) -> None:
    """Print a line to stderr for each skipped image."""
    report(source.skipped)


def report(skipped: Iterable[tuple[str, str]]) -> None:
    """Print a line to stderr for each (path, reason)."""
    for name, reason in skipped:
        print(" ".join(f"skipped {name}: {reason}".split()), file=sys.stderr)


__all__ = [
    "Block",
    "ImageStream",
    "Selection",
    "Source",
    "load_data",
    "open_source",
    "report",
    "report_skipped",
    "split_source",
]
