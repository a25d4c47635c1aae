"""Drawn faces of any style, number and size, in memory-mapped files or drawn during training."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from itertools import count as count_from
from pathlib import Path

import numpy as np

from zoo import cache
from zoo.data import drawn_names, faces
from zoo.data.drawing import block_length, count_workers
from zoo.data.drawn_names import REFERENCE_SEED, DrawnName
from zoo.data.sets import DataSet, Split
from zoo.data.styles import AVATAAARS, Style
from zoo.errors import DataError, OutputError
from zoo.images.arrays import map_array, read
from zoo.images.atomic import check_free_space, lock_output, replace_file
from zoo.images.npy import write_header
from zoo.progress import Progress

Blocks = Generator[tuple[np.ndarray, np.ndarray], None, None]
"""Blocks of images and attributes."""


def load(name: str, size: int | None = None) -> DataSet:
    """Load the faces of a name (`zoo.data.drawn_names`), of `size` pixels (default: 64).

    A set has 18,000 training faces, or the number in its name. Those beyond the 18,000 are faces
    20,000, 20,001, … of seed 0, so that a larger set begins with a smaller one; those of another
    seed are faces 0, 1, …. The 2,000 validation and 2,000 test faces of a style stay the same.
    Faces are drawn on first use and kept in the cache folder, 12 kB each at 64 pixels. Training
    faces of an endless set are drawn during training, ahead of it; none comes twice.

    Raises as `zoo.data.faces.load` and `drawn_names.parse`.
    """
    drawn, side = drawn_names.parse(name), size or faces.SIZE
    style = drawn.style
    if name == AVATAAARS.name and side <= faces.SIZE:
        return faces.load()
    part = f"seed{drawn.seed}-train" if drawn.seed else "train"
    train = _load_part(part, drawn.count, side, style, drawn.seed, drawn.index)
    if style is AVATAAARS and side == faces.SIZE:
        test, validation = faces.load().test, faces.validation()
    else:
        test = _load_part("test", faces.COUNT // 10, side, style, 0, lambda row: 10 * row + 9)
        validation = _load_part("validation", faces.VALIDATION, side, style, faces.VALIDATION_SEED)
    return DataSet(
        name,
        train,
        test,
        attributes=list(style.attributes),
        validation=validation,
        stream=partial(_stream, drawn, side) if drawn.endless else None,
    )


def reference(count: int, size: int, style: Style = AVATAAARS) -> Split:
    """Load the first `count` faces of a seed that no other data set has.

    Generators are compared with the first `drawn_names.REFERENCE` of them, of which no model has
    seen any; further ones are real images to compare with these. Raises as `load`.
    """
    return _load_part("reference", count, size, style, REFERENCE_SEED)


def _stream(
    drawn: DrawnName, size: int, first: int, step: int, count: int
) -> Generator[Split, None, None]:
    """Yield training faces `first`, `first + step`, … in blocks of `count`, without end."""
    numbers = count_from(first, step)
    blocks = ([drawn.index(next(numbers)) for _ in range(count)] for _ in count_from())
    # The other half of the cores trains.
    workers = max((os.cpu_count() or 1) // 2, 1)
    with closing(faces.draw_indices(blocks, size, drawn.seed, workers, drawn.style)) as pictures:
        for images, attributes in pictures:
            yield Split(images, attributes=attributes)


def _load_part(
    name: str,
    count: int,
    size: int,
    style: Style,
    seed: int,
    index: Callable[[int], int] = lambda row: row,
) -> Split:
    """Load the first `count` faces of a split from a file, drawing it if needed.

    `index` maps a row to the index of its face.
    """
    folder = cache.folder() / f"{style.name}-{faces.versions(style)}-{size}px"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}") from error
    for path in sorted(folder.glob(f"{name}-*.npy"), key=lambda path: path.name):
        found = _read_mapped(path, count, size, style)
        if found is not None:
            return found
    path = folder / f"{name}-{count:08}.npy"
    with lock_output(path, wait=True):
        found = _read_mapped(path, count, size, style)
        if found is None:
            length = block_length(size)
            starts = range(0, count, length)
            blocks = (map(index, range(k, min(k + length, count))) for k in starts)
            workers = count_workers(None, len(starts))
            _write(path, count, size, faces.draw_indices(blocks, size, seed, workers, style))
            found = _read_mapped(path, count, size, style)
    if found is None:
        raise DataError(f"{path} is damaged; remove it")
    return found


def _attributes_path(path: Path) -> Path:
    return path.with_suffix(".attributes")


def _read_mapped(path: Path, count: int, size: int, style: Style) -> Split | None:
    """Map the first faces of a file of `_write`; None if it has fewer faces or is damaged."""
    try:
        images = map_array(path)
        attributes = read(_attributes_path(path))
    except DataError:
        return None
    valid = images.dtype == np.uint8 and images.shape[1:] == (size, size, 3)
    if not valid or attributes.shape != (len(images), len(style.attributes)):
        return None
    return Split(images[:count], attributes=attributes[:count]) if len(images) >= count else None


def _write(path: Path, count: int, size: int, blocks: Blocks) -> None:
    """Write `count` faces to a file, and their attributes to another one next to it."""
    rows = []
    check_free_space(path, count * size * size * 3)
    with replace_file(path, locked=True) as temporary, temporary.open("wb") as file:
        write_header(file, (count, size, size, 3))
        with closing(blocks), Progress(count, verbose=True) as progress:
            for images, attributes in blocks:
                file.write(images.tobytes())
                rows.append(attributes)
                progress.advance(len(images))
        # The attributes appear first, so that an existing image file is complete.
        with replace_file(_attributes_path(path)) as second, second.open("wb") as table:
            np.save(table, np.concatenate(rows))
