"""Drawn faces with attributes: a colour data set of 20,000 images, generated on demand.

Avataaars by Pablo Stanley, assembled by DiceBear and rendered by LunaSVG (see NOTICE).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from importlib import metadata
from itertools import tee
from pathlib import Path

import numpy as np

from zoo import cache
from zoo.data.drawing import Renderer, block_length, count_workers, draw_blocks, missing_package
from zoo.data.sets import DataSet, Split
from zoo.data.styles import AVATAAARS, Face, Style
from zoo.errors import DataError, OutputError
from zoo.images.arrays import open_archive
from zoo.images.atomic import check_free_space, lock_output, replace_file
from zoo.progress import Progress

ATTRIBUTES = AVATAAARS.attributes
"""Attributes of `faces`."""

COUNT = 20_000
"""Faces of seed 0 in the data set `faces`; face i is held out for the test iff i % 10 == 9."""

VALIDATION, VALIDATION_SEED = 2_000, 2
"""Number of validation faces, and their seed."""

SIZE = 64
"""Side of the images, in pixels."""

_PACKAGES = ("dicebear-core", "dicebear-styles", "pylunasvg")


def load() -> DataSet:
    """Load `faces`: 18,000 training, 2,000 validation and 2,000 test images, 64×64 RGB.

    The faces are drawn on first use and kept in the cache folder. Raises `DataError` if the
    packages of the extra `faces` are missing, `OutputError` if the cache cannot be written, and
    `ConfigError` if there is no cache folder.
    """
    images, attributes = _load_or_draw("faces", COUNT, 0)
    held_out = np.arange(COUNT) % 10 == 9
    train, test = (
        Split(images[rows], attributes=attributes[rows]) for rows in (~held_out, held_out)
    )
    return DataSet("faces", train, test, attributes=list(ATTRIBUTES), validation=validation())


def validation() -> Split:
    """Load the validation split of `faces`, drawn with another seed. Raises as `load`."""
    images, attributes = _load_or_draw("faces-validation", VALIDATION, VALIDATION_SEED)
    return Split(images, attributes=attributes)


def _load_or_draw(name: str, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Load the first `count` faces of a seed from the cache folder, drawing them if needed."""
    path = cache.folder() / f"{name}-{versions()}.npz"
    arrays = _read_cached(path, count)
    if arrays is None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        with lock_output(path, wait=True):
            arrays = _read_cached(path, count) or _draw_and_save(path, count, seed)
    return arrays


def _draw_and_save(path: Path, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    check_free_space(path, count * (SIZE * SIZE * 3 + len(ATTRIBUTES)))
    with replace_file(path, locked=True) as temporary, temporary.open("wb") as file:
        images, attributes = make(0, count, seed=seed, verbose=True)
        np.savez(file, images=images, attributes=attributes)
    return images, attributes


def _read_cached(path: Path, count: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Read the arrays that `_draw_and_save` has written; None if missing or damaged."""
    try:
        with open_archive(path) as archive:
            images, attributes = archive.read("images"), archive.read("attributes")
    except DataError:
        return None
    expected = (count, SIZE, SIZE, 3), (count, len(ATTRIBUTES))
    return (images, attributes) if (images.shape, attributes.shape) == expected else None


def versions(style: Style = AVATAAARS) -> str:
    """Return the versions that drawings depend on, as part of a file name."""
    try:
        parts = [f"{name}{metadata.version(name)}" for name in _PACKAGES]
    except metadata.PackageNotFoundError as error:
        raise missing_package(str(error.name)) from error
    return "-".join([f"v{style.version}", *parts])


def make(
    first: int,
    count: int,
    size: int = SIZE,
    seed: int = 0,
    processes: int | None = None,
    verbose: bool = False,
    style: Style = AVATAAARS,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw faces `first` … `first + count - 1` of `seed`, a pure function of seed and index.

    Returns images uint8 [count, size, size, 3] and their attributes int8 [count, K], +1 and -1 in
    the order of the style's `attributes`. `processes` (default: one per core) never changes the
    result. `verbose` shows progress even if stderr is not a terminal. Raises `DataError` if the
    packages of the extra `faces` are missing, or an argument is out of range.
    """
    blocks = stream(first, count, size, seed, processes, style=style)
    images = np.empty((count, size, size, 3), np.uint8)
    attributes = np.empty((count, len(style.attributes)), np.int8)
    with closing(blocks), Progress(count, verbose) as progress:
        for block in blocks:
            rows = slice(progress.done, progress.done + len(block[0]))
            images[rows], attributes[rows] = block
            progress.advance(len(block[0]))
    return images, attributes


def stream(
    first: int,
    count: int,
    size: int = SIZE,
    seed: int = 0,
    processes: int | None = None,
    step: int = 1,
    style: Style = AVATAAARS,
) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
    """Yield the faces of `make` in blocks, in constant memory; close the generator when done.

    With a `step` they are faces `first`, `first + step`, `first + 2 step`, ….
    """
    _check("count", count, 1, 2**40)
    _check("step", step, 1, 2**20)
    _check("first", first, 0, 2**64 - count * step)
    _check("size", size, 8, 4096)
    _check("seed", seed, 0, 2**64 - 1)
    length, indices = block_length(size), range(first, first + count * step, step)
    starts = range(0, count, length)
    blocks = (indices[start : start + length] for start in starts)
    return draw_indices(blocks, size, seed, count_workers(processes, len(starts)), style)


def draw_indices(
    blocks: Iterable[Iterable[int]], size: int, seed: int, workers: int, style: Style = AVATAAARS
) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
    """Yield the images and attributes of blocks of faces, as `zoo.data.drawing.draw_blocks`."""
    versions(style)
    drawn, described = tee([style.describe(seed, index) for index in block] for block in blocks)
    return _with_attributes(draw_blocks(drawn, size, workers, style), described, style)


def _with_attributes(
    pictures: Generator[np.ndarray, None, None], blocks: Iterable[list[Face]], style: Style
) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
    with closing(pictures):
        for images, block in zip(pictures, blocks, strict=True):
            yield images, np.stack([style.row(face) for face in block])


def _check(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise DataError(f"{name}: expected an integer from {low} to {high}, got {value!r}")


__all__ = ["ATTRIBUTES", "COUNT", "SIZE", "Renderer", "load", "make", "stream", "versions"]
