"""Any number of drawn faces of any size, in memory-mapped files: `faces:COUNT`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import numpy as np

from zoo import cache
from zoo.data import faces
from zoo.data.sets import DataSet, Split
from zoo.errors import DataError, OutputError
from zoo.images.arrays import map_array, read
from zoo.images.atomic import check_free_space, lock_output, replace_file
from zoo.images.npy import write_header
from zoo.progress import Progress

PREFIX = "faces:"
"""Prefix of the names of these data sets."""

LARGEST = 10_000_000
"""Limit on the number of training faces."""

Blocks = Generator[tuple[np.ndarray, np.ndarray], None, None]
"""Blocks of images and attributes."""


def is_mapped(name: str, size: int | None) -> bool:
    """Return True for `faces:COUNT`, and for `faces` of a larger size than usual."""
    return name.startswith(PREFIX) or (name == "faces" and (size or 0) > faces.SIZE)


def load(name: str, size: int | None = None) -> DataSet:
    """Load `faces:COUNT`, with COUNT training faces, or `faces`, of `size` pixels (default: 64).

    Training faces beyond the 18,000 of `faces` are faces 20,000, 20,001, … of the same seed, so
    that a larger set begins with a smaller one. They are drawn on first use and kept in the cache
    folder, 12 kB each at 64 pixels. Raises as `zoo.data.faces.load`, and `DataError` for an
    invalid count.
    """
    count, side = _parse_count(name), size or faces.SIZE
    train = _load_part("train", count, side, _draw_training)
    if side == faces.SIZE:
        test, validation = faces.load().test, faces.validation()
    else:
        test = _load_part("test", faces.COUNT // 10, side, _draw_test)
        validation = _load_part("validation", faces.VALIDATION, side, _draw_validation)
    return DataSet(name, train, test, attributes=list(faces.ATTRIBUTES), validation=validation)


def _parse_count(name: str) -> int:
    if name == "faces":
        return faces.COUNT - faces.COUNT // 10
    text = name.removeprefix(PREFIX)
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and 10 <= int(text) <= LARGEST):
        raise DataError(f"{name}: expected faces:COUNT, a number from 10 to {LARGEST:,}")
    return int(text)


def _load_part(name: str, count: int, size: int, draw: Callable[[int, int], Blocks]) -> Split:
    """Load the first `count` faces of a split from a file, drawing it if needed."""
    folder = cache.folder() / f"faces-{faces.versions()}-{size}px"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}") from error
    for path in sorted(folder.glob(f"{name}-*.npy"), key=lambda path: path.name):
        found = _read_mapped(path, count, size)
        if found is not None:
            return found
    path = folder / f"{name}-{count:08}.npy"
    with lock_output(path, wait=True):
        found = _read_mapped(path, count, size)
        if found is None:
            _write(path, count, size, draw(count, size))
            found = _read_mapped(path, count, size)
    if found is None:
        raise DataError(f"{path} is damaged; remove it")
    return found


def _attributes_path(path: Path) -> Path:
    return path.with_suffix(".attributes")


def _read_mapped(path: Path, count: int, size: int) -> Split | None:
    """Map the first faces of a file of `_write`; None if it has fewer faces or is damaged."""
    try:
        images = map_array(path)
        attributes = read(_attributes_path(path))
    except DataError:
        return None
    valid = images.dtype == np.uint8 and images.shape[1:] == (size, size, 3)
    if not valid or attributes.shape != (len(images), len(faces.ATTRIBUTES)):
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


def _draw_training(count: int, size: int) -> Blocks:
    """Draw the first training faces."""
    first = done = 0
    # At most COUNT // 10 faces are held out.
    stream = faces.stream(0, count + faces.COUNT // 10, size)
    with closing(stream):
        for images, attributes in stream:
            index = np.arange(first, first + len(images))
            held_out = (index < faces.COUNT) & (index % 10 == 9)
            keep = np.flatnonzero(~held_out)[: count - done]
            first, done = first + len(images), done + len(keep)
            yield images[keep], attributes[keep]
            if done == count:
                return


def _draw_test(count: int, size: int) -> Blocks:
    """Draw the first test faces: 9, 19, 29, …."""
    return faces.stream(9, count, size, step=10)


def _draw_validation(count: int, size: int) -> Blocks:
    """Draw the first faces of the validation seed."""
    return faces.stream(0, count, size, faces.VALIDATION_SEED)
