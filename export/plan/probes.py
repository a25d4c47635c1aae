"""What a plan and its engine are compared on: a probe for each thing that the engine does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.parity import FIRST, ROWS, SEED, mixed_images
from zoo.data import DataSet

Array = NDArray[Any]

POOL = ROWS
"""Images or styles that are given again and again."""


@dataclass(frozen=True)
class Probe:
    """One thing that an engine does.

    `run(engine, start, stop)` gives its answers to rows start … stop - 1, images uint8 [n, H, W, C]
    or numbers [n, …]; what a row is depends on its index alone.
    """

    name: str
    run: Callable[[Any, int, int], Array]


def images(name: str, run: Callable[[Any, Array], Array], pool: Array) -> Probe:
    """A probe that gives the images of a pool [POOL, H, W, C]."""
    return Probe(name, lambda opened, start, stop: run(opened, rows(pool, start, stop)))


def held_out(shape: tuple[int, int, int], data: DataSet | None) -> Array:
    """Images to measure on, where the data are of that shape, else made-up ones."""
    if data is not None and data.test.images.shape[1:] == shape and len(data.test):
        return data.test.images[:POOL]
    return mixed_images(shape)


def rows(pool: Array, start: int, stop: int) -> Array:
    """Rows start … stop - 1 of the pool, which begins again at its end."""
    return pool[np.arange(start, stop) % len(pool)]


__all__ = ["FIRST", "POOL", "SEED", "Probe", "held_out", "images", "rows"]
