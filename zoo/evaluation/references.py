"""The real images that generated ones are compared with, and as many others as a floor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.data import DataSet
from zoo.errors import DataError
from zoo.evaluation.features import BATCH

Images = NDArray[np.uint8]

LEAST = 10
"""Fewest images of a comparison."""


@dataclass(frozen=True)
class Selection:
    """Rows of the two splits of a data set, as one set of images."""

    data: DataSet
    test: NDArray[np.int64]
    train: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.test) + len(self.train)

    def batches(self) -> Iterator[Images]:
        """The images, uint8 [n, H, W, C] at a time, in order."""
        for split, rows in ((self.data.test, self.test), (self.data.train, self.train)):
            for start in range(0, len(rows), BATCH):
                yield split.images[rows[start : start + BATCH]]

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """Class numbers of the images, [n], where the data set has them."""
        test, train = self.data.test.labels, self.data.train.labels
        if test is None or train is None:
            return None
        return np.concatenate([test[self.test], train[self.train]])

    @property
    def attributes(self) -> NDArray[np.int8] | None:
        """Attributes ±1 of the images, [n, K], where the data set has them."""
        test, train = self.data.test.attributes, self.data.train.attributes
        if test is None or train is None:
            return None
        return np.concatenate([test[self.test], train[self.train]])

    def __str__(self) -> str:
        parts = [
            f"{len(rows):,} {name}"
            for name, rows in (("test", self.test), ("training", self.train))
            if len(rows)
        ]
        return f"{' and '.join(parts)} images of {self.data.name}"


@dataclass(frozen=True)
class Reference:
    """`real`: what generated images are compared with; `floor`: as many other real images.

    The floor is what a perfect generator would get, and one that copies its training images too.
    """

    real: Selection
    floor: Selection


def largest(data: DataSet) -> int:
    """How many images can be compared with as many others."""
    return min((len(data.test) + len(data.train)) // 2, len(data.train))


def choose(data: DataSet, count: int, seed: int = 0) -> Reference:
    """Choose `count` real images, and `count` others, by a seed.

    The real ones are test images, filled up with training images where there are too few; the
    others are training images. Raises `DataError` where the data set has not twice as many.
    """
    if count < LEAST:
        raise DataError(f"n: expected at least {LEAST} images, got {count}")
    most = largest(data)
    if count > most:
        raise DataError(
            f"n: {data.name} has {len(data.test):,} test and {len(data.train):,} training images, "
            f"enough to compare {most:,} with as many others; got {count:,}"
        )
    random = np.random.default_rng(seed)
    test = random.permutation(len(data.test))[:count]
    train = random.permutation(len(data.train))
    filled = count - len(test)
    none = np.zeros(0, np.int64)
    return Reference(
        Selection(data, np.sort(test), np.sort(train[:filled])),
        Selection(data, none, np.sort(train[filled : filled + count])),
    )


__all__ = ["LEAST", "Reference", "Selection", "choose", "largest"]
