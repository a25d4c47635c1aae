"""Any number of drawn faces, of any size, in files that are mapped into memory: `faces:COUNT`."""

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
from zoo.progress import Progress

PREFIX = "faces:"
"""How the names of these sets begin."""

LARGEST = 10_000_000
"""Training faces that may be asked for."""

Blocks = Generator[tuple[np.ndarray, np.ndarray], None, None]
"""Images and attributes, some at a time."""


def is_mapped(name: str, size: int | None) -> bool:
    """Whether a data set is one of these: of a count, or of faces that are to be drawn larger."""
    return name.startswith(PREFIX) or (name == "faces" and (size or 0) > faces.SIZE)


def load(name: str, size: int | None = None) -> DataSet:
    """`faces:COUNT`, with COUNT training faces, or `faces`, of `size` pixels (default: 64).

    The faces are those of `faces`; training faces beyond its 18,000 are faces 20,000, 20,001, … of
    the same seed, so that a larger set begins with a smaller one. They are drawn when they are
    asked for the first time and kept in the cache folder, 12 kB each at 64 pixels. Raises as
    `zoo.data.faces.load`, and `DataError` for a count that is none.
    """
    count, side = _count(name), size or faces.SIZE
    train = _part("train", count, side, _training)
    if side == faces.SIZE:
        test, validation = faces.load().test, faces.validation()
    else:
        test = _part("test", faces.COUNT // 10, side, _held_out)
        validation = _part("validation", faces.VALIDATION, side, _chosen_by)
    return DataSet(name, train, test, attributes=list(faces.ATTRIBUTES), validation=validation)


def _count(name: str) -> int:
    if name == "faces":
        return faces.COUNT - faces.COUNT // 10
    text = name.removeprefix(PREFIX)
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and 10 <= int(text) <= LARGEST):
        raise DataError(f"{name}: expected faces:COUNT, a number from 10 to {LARGEST:,}")
    return int(text)


def _part(name: str, count: int, size: int, draw: Callable[[int, int], Blocks]) -> Split:
    """The first `count` faces of a part, from a file that has as many, or is made now."""
    folder = cache.folder() / f"faces-{faces.versions()}-{size}px"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}") from error
    for path in sorted(folder.glob(f"{name}-*.npy"), key=lambda path: path.name):
        found = _mapped(path, count, size)
        if found is not None:
            return found
    path = folder / f"{name}-{count:08}.npy"
    with lock_output(path, wait=True):
        found = _mapped(path, count, size)
        if found is None:
            _write(path, count, size, draw(count, size))
            found = _mapped(path, count, size)
    if found is None:
        raise DataError(f"{path} is damaged; remove it")
    return found


def _attributes_of(path: Path) -> Path:
    return path.with_suffix(".attributes")


def _mapped(path: Path, count: int, size: int) -> Split | None:
    """The first faces in a file of `_write`; None if it has fewer faces or is damaged."""
    try:
        images = map_array(path)
        attributes = read(_attributes_of(path))
    except DataError:
        return None
    right = images.dtype == np.uint8 and images.shape[1:] == (size, size, 3)
    if not right or attributes.shape != (len(images), len(faces.ATTRIBUTES)):
        return None
    return Split(images[:count], attributes=attributes[:count]) if len(images) >= count else None


def _write(path: Path, count: int, size: int, blocks: Blocks) -> None:
    """Write `count` faces to a file, and their attributes to another beside it."""
    rows = []
    check_free_space(path, count * size * size * 3)
    with replace_file(path, locked=True) as temporary, temporary.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, 3)}
        np.lib.format.write_array_header_1_0(file, header)
        with closing(blocks), Progress(count, verbose=True) as progress:
            for images, attributes in blocks:
                file.write(images.tobytes())
                rows.append(attributes)
                progress.advance(len(images))
        # First the attributes: what is there with the images is complete.
        with replace_file(_attributes_of(path)) as second, second.open("wb") as table:
            np.save(table, np.concatenate(rows))


def _training(count: int, size: int) -> Blocks:
    """The first training faces."""
    first = taken = 0
    # More than enough: at most so many are left out.
    stream = faces.stream(0, count + faces.COUNT // 10, size)
    with closing(stream):
        for images, attributes in stream:
            index = np.arange(first, first + len(images))
            held_out = (index < faces.COUNT) & (index % 10 == 9)
            keep = np.flatnonzero(~held_out)[: count - taken]
            first, taken = first + len(images), taken + len(keep)
            yield images[keep], attributes[keep]
            if taken == count:
                return


def _held_out(count: int, size: int) -> Blocks:
    """The first test faces: 9, 19, 29, …."""
    return faces.stream(9, count, size, step=10)


def _chosen_by(count: int, size: int) -> Blocks:
    """The first faces of the seed for validation."""
    return faces.stream(0, count, size, faces.VALIDATION_SEED)
