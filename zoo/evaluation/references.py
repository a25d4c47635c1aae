"""Choice of real images to compare with generated ones, and of others as a floor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data import DataSet, Split, drawn_names, mapped_faces, resize
from zoo.data.faces import versions
from zoo.errors import DataError
from zoo.evaluation.features import BATCH

Images = NDArray[np.uint8]

LEAST = 10
"""Minimum number of images of a comparison."""


@dataclass(frozen=True)
class Selection:
    """Set of images from two splits of a data set, `part` ("test" or "validation") and "train".

    `key` identifies the images if what networks say about them is to be cached.
    """

    data: DataSet
    held_out: NDArray[np.int64]
    train: NDArray[np.int64]
    part: str = "test"
    key: str = ""

    def __len__(self) -> int:
        return len(self.held_out) + len(self.train)

    @property
    def _rows(self) -> tuple[tuple[Split, NDArray[np.int64]], ...]:
        return (self.data.parts[self.part], self.held_out), (self.data.train, self.train)

    def batches(self) -> Iterator[Images]:
        """Yield batches of the images, uint8 [n, H, W, C]."""
        for split, rows in self._rows:
            for start in range(0, len(rows), BATCH):
                yield split.images[rows[start : start + BATCH]]

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """Class indices [n] of the images, or None."""
        return _concatenate([(split.labels, rows) for split, rows in self._rows])

    @property
    def attributes(self) -> NDArray[np.int8] | None:
        """Attributes ±1 [n, K] of the images, or None."""
        return _concatenate([(split.attributes, rows) for split, rows in self._rows])

    def __str__(self) -> str:
        parts = [
            f"{len(rows):,} {name}"
            for name, rows in ((self.part, self.held_out), ("training", self.train))
            if len(rows)
        ]
        return f"{' and '.join(parts)} images of {self.data.name}"


@dataclass(frozen=True)
class Reference:
    """`real` images to compare with, and others for the `floor`.

    The floor is the score of a perfect generator, but also of one that copies its training images.
    """

    real: Selection
    floor: Selection


def _concatenate(tables: list[tuple[Any, NDArray[np.int64]]]) -> Any:
    if any(table is None for table, _ in tables):
        return None
    return np.concatenate([table[rows] for table, rows in tables])


def _check_count(count: int) -> None:
    if count < LEAST:
        raise DataError(f"n: expected at least {LEAST} images, got {count}")


def largest(data: DataSet, part: str = "test") -> int:
    """Return the largest number of images that can be compared with as many others."""
    return min((len(data.parts[part]) + len(data.train)) // 2, len(data.train))


def choose_drawn(data: DataSet, count: int) -> Reference:
    """Choose the reference faces, and `count` training images of `data` as the floor.

    `data` are drawn faces of any number. Raises as `zoo.data.mapped_faces.reference`, and
    `DataError` for too few images, or more than `data` has to train on.
    """
    _check_count(count)
    if count > len(data.train):
        raise DataError(
            f"n: {data.name} has {len(data.train):,} training images to compare with the "
            f"reference, got {count:,}"
        )
    size, rows = drawn_names.REFERENCE, np.arange(drawn_names.REFERENCE)
    test = resize(mapped_faces.reference(size, data.image_size), None, data.channels)
    reference = replace(data, name=f"faces of seed {drawn_names.REFERENCE_SEED}", test=test)
    key = f"{versions()}, {data.image_size} px, {data.channels} channels"
    none = np.zeros(0, np.int64)
    return Reference(
        Selection(reference, rows, none, key=f"{size} of {reference.name}, {key}"),
        Selection(data, none, rows[:count], key=f"{count} of {data.name}, {key}"),
    )


def choose(data: DataSet, count: int, seed: int = 0, part: str = "test") -> Reference:
    """Choose `count` real images and `count` others by a seed.

    The real ones come from `part`, and if that is too small also from the training images; the
    others are training images. Raises `DataError` if the data set is too small.
    """
    _check_count(count)
    most, held_out = largest(data, part), data.parts[part]
    if count > most:
        raise DataError(
            f"n: {data.name} has {len(held_out):,} {part} and {len(data.train):,} training images, "
            f"enough to compare {most:,} with as many others; got {count:,}"
        )
    random = np.random.default_rng(seed)
    rows = random.permutation(len(held_out))[:count]
    train = random.permutation(len(data.train))
    filled = count - len(rows)
    none = np.zeros(0, np.int64)
    return Reference(
        Selection(data, np.sort(rows), np.sort(train[:filled]), part),
        Selection(data, none, np.sort(train[filled : filled + count]), part),
    )
