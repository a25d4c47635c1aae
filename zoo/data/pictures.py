"""Parallel reader of many pictures into arrays of one shape."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL.Image import Image

from zoo.data.sets import fit
from zoo.errors import DataError
from zoo.images import pictures
from zoo.progress import Progress

Item = Sequence[Path]
"""The files that make one row: a picture, or both pictures of a pair."""

Cut = Callable[[Item, list[Image]], list[Image]]
"""Function from an item's pictures to one picture per array. Raises DataError."""

Skipped = tuple[str, str]
"""Path of a skipped picture, and the reason."""

_AHEAD = 256
"""Items read ahead."""


@dataclass(frozen=True)
class Loaded:
    """Arrays uint8 [n, side, side, C], and the items' indices int [n] of their rows."""

    arrays: list[np.ndarray]
    rows: np.ndarray


def read_picture(file: Path, size: int | None, channels: int | None) -> np.ndarray:
    """Read a picture as uint8 [size, size, channels], converted by `fit`. Raises DataError."""
    return fit(pictures.decode_picture(file), size, channels)


def read_parts(
    parts: Sequence[Sequence[Item]],
    size: int | None,
    channels: Sequence[int | None],
    cut: Cut = lambda item, found: found,
) -> tuple[list[Loaded], list[Skipped]]:
    """Read all items of all parts; also return the pictures that cannot be read.

    The arrays have `channels`; None means 3 if any picture of any part has colour, else 1. `size`
    None is the side of the pictures' central squares. Raises DataError if these have different
    sizes, or if no item of a part can be read.
    """
    reader = _Reader(size, channels, cut)
    with Progress(sum(map(len, parts))) as progress, ThreadPoolExecutor(os.cpu_count()) as pool:
        loaded = [reader.part(items, pool, progress) for items in parts]
    # Grey parts become RGB if others have colour.
    depths = [max(part.arrays[k].shape[3] for part in loaded) for k in range(len(channels))]
    for part in loaded:
        part.arrays[:] = map(_repeat_channels, part.arrays, depths)
    return loaded, reader.skipped


class _Reader:
    def __init__(self, size: int | None, channels: Sequence[int | None], cut: Cut) -> None:
        self.skipped: list[Skipped] = []
        self._size = size
        self._channels = channels
        self._cut = cut
        self._first: tuple[Path, int] | None = None

    def part(self, items: Sequence[Item], pool: ThreadPoolExecutor, progress: Progress) -> Loaded:
        arrays = [np.empty((len(items), 0, 0, 1), np.uint8) for _ in self._channels]
        rows: list[int] = []
        before = len(self.skipped)
        for row, images in enumerate(self._images(items, pool)):
            progress.advance(1)
            if isinstance(images, tuple):
                self.skipped.append(images)
                continue
            self._check_side(items[row][0], len(images[0]))
            for k, image in enumerate(images):
                if not rows:
                    arrays[k] = np.empty((len(items), *image.shape), np.uint8)
                arrays[k] = _repeat_channels(arrays[k], image.shape[2])
                arrays[k][len(rows)] = image
            rows.append(row)
        if not rows:
            file, reason = self.skipped[before]
            raise DataError(
                f"no image can be used: {len(self.skipped) - before} skipped, the first of them "
                f"{file}: {reason}"
            )
        return Loaded([array[: len(rows)] for array in arrays], np.array(rows, np.intp))

    def _images(
        self, items: Sequence[Item], pool: ThreadPoolExecutor
    ) -> Iterator[list[np.ndarray] | Skipped]:
        # Threads suffice: Pillow releases the interpreter lock to decode and resize.
        for start in range(0, len(items), _AHEAD):
            yield from pool.map(self._read, items[start : start + _AHEAD])

    def _read(self, item: Item) -> list[np.ndarray] | Skipped:
        decoded = []
        for file in item:
            try:
                decoded.append(pictures.decode_picture(file))
            except DataError as error:
                return pictures.printable(str(file)), pictures.error_reason(error, file)
        cut = zip(self._cut(item, decoded), self._channels, strict=True)
        return [fit(picture, self._size, channels) for picture, channels in cut]

    def _check_side(self, file: Path, side: int) -> None:
        first, expected = self._first = self._first or (file, side)
        if side != expected:
            raise DataError(
                f"{first} gives {expected}×{expected} pixels and {file} {side}×{side}: expected "
                "pictures of one size, or a size for all (--image-size, --resize)"
            )


def _repeat_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """Repeat the channel of grey images [n, H, W, 1] to [n, H, W, channels]."""
    return images.repeat(channels, axis=3) if channels > images.shape[3] else images
