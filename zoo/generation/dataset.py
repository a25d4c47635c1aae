"""PyTorch data set of generated images: nothing is stored, since an index determines an image."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from zoo.errors import ConfigError
from zoo.generation.source import UINT64_MAX, open_source


class GeneratedImages(IterableDataset[Any]):
    """Images `first` … `first + n - 1` of a seed as tensors, without end if n is None.

    An item is an image [C, H, W], or with `batched` a batch [batch, C, H, W] for a DataLoader with
    `batch_size=None`: uint8, or of a floating-point `dtype` with values from 0 to 1. For a
    conditional generator it is a pair with the class, or the classes [batch], int64.

    - engine: file or shipped name; seed, labels (classes that images have in turn), prior,
      truncation: as in `Generator.sample`; options: those of runtime.Generator.
    - batch: images that the engine makes at a time.
    - rank, ranks: of this process among those that share the images. By default those of
      torch.distributed, else RANK and WORLD_SIZE of the environment, else 0 of 1.

    Images are divided by their index in blocks of `batch`: rank r of R reads blocks r, r + R,
    r + 2 R, …, and these go to the workers of its DataLoader in turn. So each index is read once,
    and with `batched`, or if `batch` is also the DataLoader's batch size, each rank reads its
    blocks in order, whatever its number of workers. The last block may be smaller, and ranks may
    have one block more than others.

    `state_dict` and `load_state_dict` are those that torchdata's StatefulDataLoader calls. With
    torch's DataLoader use `skip`, since its workers have copies of the data set.

    Raises ConfigError, and the errors of runtime.Generator.
    """

    def __init__(
        self,
        engine: str | os.PathLike[str],
        n: int | None = None,
        *,
        seed: int = 0,
        first: int = 0,
        labels: Sequence[int | str] | str | None = None,
        batch: int = 64,
        batched: bool = False,
        dtype: torch.dtype = torch.uint8,
        rank: int | None = None,
        ranks: int | None = None,
        prior: str = "normal",
        truncation: float = 1.0,
        **options: Any,
    ) -> None:
        if dtype != torch.uint8 and not dtype.is_floating_point:
            raise ConfigError(f"dtype: expected torch.uint8 or a floating-point type, got {dtype}")
        if (rank is None) != (ranks is None):
            raise ConfigError("rank and ranks: expected both or neither")
        if rank is None or ranks is None:
            rank, ranks = _find_rank()
        if not 0 <= rank < ranks:
            raise ConfigError(f"rank: expected an integer from 0 to {ranks - 1}, got {rank}")
        if batch < 1:
            raise ConfigError(f"batch: expected at least 1, got {batch}")
        if not 0 <= first <= UINT64_MAX:
            raise ConfigError(f"first: expected an integer from 0 to 2**64 - 1, got {first}")
        most = UINT64_MAX - first + 1
        if n is not None and not 0 < n <= most:
            raise ConfigError(f"n: expected an integer from 1 to 2**64 - first, got {n}")
        self.source = open_source(engine, seed, labels, prior, truncation, **options)
        self.first, self.count, self.endless = first, n or most, n is None
        self.batch, self.batched, self.dtype = batch, batched, dtype
        self.rank, self.ranks = rank, ranks
        # Where the next iteration begins (None: the first block), and where the last one is.
        self._start: dict[str, Any] | None = None
        self._state = self._state_at(0, 0)

    def __len__(self) -> int:
        """Return the number of items of this rank. Raises TypeError without end."""
        if self.endless:
            raise TypeError("a data set without end has no length")
        blocks = len(range(self.rank, self._blocks, self.ranks))
        if self.batched or not blocks:
            return blocks
        last = self.rank + (blocks - 1) * self.ranks
        return (blocks - 1) * self.batch + self._rows(last)

    def __iter__(self) -> Iterator[Any]:
        """Begin at the first image, or after those that a state or `skip` leaves out."""
        start, self._start = self._start or self._state_at(0, 0), None
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        block, row = start["block"], start["row"]
        if start["workers"] == 0:
            block, row = block + worker, row if worker == 0 else 0
        elif (start["worker"], start["workers"]) != (worker, workers):
            raise ConfigError(
                f"the state is that of worker {start['worker']} of {start['workers']}, "
                f"expected {worker} of {workers}"
            )
        self._set_state(block, row, info)
        return self._read(block, row, workers, info)

    def state_dict(self) -> dict[str, Any]:
        """Return where the last iteration in this process is."""
        return dict(self._state if self._start is None else self._start)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration begin where `state` was taken. Raises ConfigError."""
        own = self._state_at(0, 0)
        wrong = [name for name in own["run"] if state["run"][name] != own["run"][name]]
        if wrong:
            raise ConfigError(f"the state is that of images with another {', '.join(wrong)}")
        self._start = dict(state)

    def skip(self, count: int) -> None:
        """Let the next iteration begin after the first `count` items of this rank."""
        self._start = self._state_at(*((count, 0) if self.batched else divmod(count, self.batch)))

    @property
    def _blocks(self) -> int:
        return -(-self.count // self.batch)

    def _rows(self, number: int) -> int:
        return min(self.batch, self.count - number * self.batch)

    def _state_at(self, block: int, row: int, worker: int = 0, workers: int = 0) -> dict[str, Any]:
        """Return the state before row `row` of block `block` of this rank; workers = 0: for all."""
        run = {
            "engine": self.source.digest,
            "seed": self.source.seed,
            "first": self.first,
            "batch": self.batch,
            "rank": self.rank,
            "ranks": self.ranks,
        }
        return {"block": block, "row": row, "worker": worker, "workers": workers, "run": run}

    def _set_state(self, block: int, row: int, info: Any) -> None:
        own = (info.id, info.num_workers) if info else (0, 0)
        self._state = self._state_at(block, row, *own)

    def _read(self, block: int, row: int, workers: int, info: Any) -> Iterator[Any]:
        """Yield items from a row of a block of this rank on, and keep the state."""
        with self.source.open() as generator:
            while (number := block * self.ranks + self.rank) < self._blocks:
                rows = self._rows(number)
                made = self.source.block(generator, self.first + number * self.batch, rows)
                images = torch.from_numpy(np.ascontiguousarray(made.images.transpose(0, 3, 1, 2)))
                if self.dtype != torch.uint8:
                    images = images.to(self.dtype) / 255
                labels = None if made.labels is None else torch.from_numpy(made.labels)
                if self.batched:
                    self._set_state(block + workers, 0, info)
                    yield images if labels is None else (images, labels)
                    row = rows
                for place in range(row, rows):
                    after = (block, place + 1) if place + 1 < rows else (block + workers, 0)
                    self._set_state(*after, info)
                    yield images[place] if labels is None else (images[place], labels[place])
                block, row = block + workers, 0


def _find_rank() -> tuple[int, int]:
    """Return the rank of this process, and the number of ranks."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
