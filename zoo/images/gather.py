"""Selection of images from a source by index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError

if TYPE_CHECKING:
    from zoo.images.stream import Block


def gather(source: Iterable[Block], indices: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the images uint8 [m, H, W, C] of a source at `indices` int [m].

    Reads the source once, up to the last index. Raises DataError if the source has become shorter.
    """
    unique, inverse = np.unique(indices, return_inverse=True)
    images: list[NDArray[np.uint8]] = []
    start = 0
    for block in source:
        end = start + len(block.images)
        inside = unique[(start <= unique) & (unique < end)]
        images += [block.images[i - start].copy() for i in inside]
        start = end
        if len(images) == len(unique):
            return np.stack(images)[inverse]
    raise DataError(f"the images have changed: expected {unique[-1] + 1}, got {start}")
