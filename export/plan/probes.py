"""Probes, on which a plan is compared with its engine: one for each function of the engine."""

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
"""Number of images or styles, which are used repeatedly."""


@dataclass(frozen=True)
class Probe:
    """A function of an engine.

    `run(engine, start, stop)` returns the results for rows start … stop - 1, images uint8
    [n, H, W, C] or numbers [n, …]; a row depends on its index alone.
    """

    name: str
    run: Callable[[Any, int, int], Array]


def image_probe(name: str, run: Callable[[Any, Array], Array], pool: Array) -> Probe:
    """Build a probe that runs on the images of a pool [POOL, H, W, C]."""
    return Probe(name, lambda engine, start, stop: run(engine, take_rows(pool, start, stop)))


def held_out_images(shape: tuple[int, int, int], data: DataSet | None) -> Array:
    """Return held-out images of the data if it has that shape, else synthetic ones."""
    if data is not None and data.test.images.shape[1:] == shape and len(data.test):
        return data.test.images[:POOL]
    return mixed_images(shape)


def take_rows(pool: Array, start: int, stop: int) -> Array:
    """Return rows start … stop - 1 of the pool repeated without end."""
    return pool[np.arange(start, stop) % len(pool)]


__all__ = ["FIRST", "POOL", "SEED", "Probe", "held_out_images", "image_probe", "take_rows"]
