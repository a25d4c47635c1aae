"""Batches of training images: their order in every pass, and mirroring."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import torch

from zoo.data import DataSet, Split
from zoo.training.recipe import Recipe
from zoo.training.task import Batch, load_rows

ENDLESS_PASS = 2**20
"""Number of images of an endless data set whose mirroring is drawn at a time."""


class Batches:
    """Training images of each step of a run, on a device.

    A data set is shuffled anew for every pass; a remainder smaller than a batch is left out. An
    endless data set is taken in order, so that no image comes twice. If the recipe says `mirror`,
    every image is mirrored with probability ½. All of it is a function of the recipe's seed and the
    step. A process takes every image number `share` of `shares` of a batch.
    """

    def __init__(
        self, data: DataSet, recipe: Recipe, device: torch.device, share: int = 0, shares: int = 1
    ) -> None:
        self._data, self._recipe, self._device = data, recipe, device
        self._share, self._shares = share, shares
        self._rows = load_rows(data.train, device) if data.stream is None else None
        self._count = ENDLESS_PASS if data.stream else len(data.train)
        self._pass = -1
        self._order = self._mirrored = np.zeros(0, np.int64)
        self._stream: Generator[Split, None, None] | None = None
        self._next = 0

    @property
    def per_pass(self) -> int:
        """Number of steps in a pass."""
        return self._count // self._recipe.batch_size

    def __call__(self, step: int) -> Batch:
        """Return this process's share of the batch of a step, counted from 0."""
        number, place = divmod(step, self.per_pass)
        if number != self._pass:
            self._draw_pass(number)
        size = self._recipe.batch_size
        rows = self._order[place * size : (place + 1) * size][self._share :: self._shares]
        if self._rows is None:
            batch = load_rows(self._take(step), self._device)
        else:
            batch = self._rows[self._to_device(rows)]
        return batch.mirror(self._to_device(self._mirrored[rows])) if self._recipe.mirror else batch

    def close(self) -> None:
        """End the processes that draw an endless data set."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _draw_pass(self, number: int) -> None:
        key = np.array([self._recipe.seed, number], np.uint64)
        random = np.random.Generator(np.random.Philox(key=key))
        endless = self._rows is None
        self._order = np.arange(self._count) if endless else random.permutation(self._count)
        if self._recipe.mirror:
            self._mirrored = random.integers(0, 2, self._count, bool)
        self._pass = number

    def _take(self, step: int) -> Split:
        """Return the next images of an endless data set."""
        if self._stream is None or step != self._next:
            self.close()
            size = self._recipe.batch_size
            assert self._data.stream is not None
            first = step * size + self._share
            self._stream = self._data.stream(first, self._shares, size // self._shares)
        self._next = step + 1
        return next(self._stream)

    def _to_device(self, rows: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(rows)).to(self._device)
