"""Some of the images of a source, when it is known which."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError

if TYPE_CHECKING:
    from zoo.images.stream import Block


def gather(source: Iterable[Block], indices: NDArray[Any]) -> NDArray[np.uint8]:
    """Images uint8 [m, H, W, C] of a source at `indices` int [m], in their order.

    Reads the source once, no further than the last of them. Raises DataError for a source
    that has become shorter.
    """
    wanted, where = np.unique(indices, return_inverse=True)
    found: list[NDArray[np.uint8]] = []
    start = 0
    for block in source:
        end = start + len(block.images)
        inside = wanted[(start <= wanted) & (wanted < end)]
        found += [block.images[i - start].copy() for i in inside]
        start = end
        if len(found) == len(wanted):
            return np.stack(found)[where]
    raise DataError(f"the images have changed: expected {wanted[-1] + 1}, got {start}")


__all__ = ["gather"]
