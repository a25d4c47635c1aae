"""Reader of CelebA (Liu et al., ICCV 2015) in its published layout."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from zoo.data.pictures import read_parts, read_picture
from zoo.data.sets import BY_SEED, DataSet, Split, rows_by_seed
from zoo.errors import DataError
from zoo.images.pictures import list_pictures

IMAGES = "img_align_celeba"
"""The folder of the pictures."""

ATTRIBUTES = "list_attr_celeba.txt"
"""File with the number of images, the attributes' names, then per image a file name and ±1 each."""

PARTITION = "list_eval_partition.txt"
"""File with a file name and a split per line: 0 train, 1 validation, 2 test."""

_PARTS = ("0", "1", "2")


def load_celeba(path: Path, size: int | None = None, channels: int | None = None) -> DataSet:
    """Load a folder in CelebA's layout, as a data set with attributes, named after the folder.

    The folder contains `IMAGES`, `ATTRIBUTES` and optionally `PARTITION`; without the latter, a
    tenth is held out by a fixed seed. Pictures (178×218 in CelebA) are cropped to their central
    square and resized to `size` pixels (default: no resizing). Pictures that cannot be read are
    skipped and listed in `skipped`. Raises `DataError`, with file and line number, for errors in
    the tables.
    """
    names, files, attributes = _read_attributes(path / ATTRIBUTES, path / IMAGES)
    if (path / PARTITION).exists():
        parts = _read_partition(path / PARTITION, path / ATTRIBUTES, files)
        train, validation, test = (np.flatnonzero(parts == part) for part in range(3))
        for rows, part in ((train, "0, train"), (test, "2, test")):
            if not len(rows):
                raise DataError(f"{path / PARTITION} puts no image into part {part}")
    else:
        (train, test), validation = rows_by_seed(len(files)), np.zeros(0, np.int64)
    chosen = [rows for rows in (train, test, validation) if len(rows)]
    items = [[(path / IMAGES / files[row],) for row in rows] for rows in chosen]
    loaded, skipped = read_parts(items, size, [channels])
    splits = [
        Split(read.arrays[0], attributes=attributes[rows[read.rows]])
        for rows, read in zip(chosen, loaded, strict=True)
    ]
    name = path.resolve().name
    held_out = splits[2] if len(splits) > 2 else BY_SEED
    return DataSet(
        name, splits[0], splits[1], attributes=names, skipped=skipped, validation=held_out
    )


def peek(path: Path) -> tuple[int, int, int] | None:
    """Return the shape [side, side, C] of unresized images of `load_celeba`, read from one picture.

    None if the folder is not in CelebA's layout, or no picture can be read.
    """
    if not (path / ATTRIBUTES).is_file() or not (path / IMAGES).is_dir():
        return None
    for name in list_pictures(path / IMAGES):
        try:
            return read_picture(path / IMAGES / name, None, None).shape
        except DataError:
            continue
    return None


def _read_attributes(path: Path, images: Path) -> tuple[list[str], list[str], np.ndarray]:
    """Read the attributes' names, the pictures' file names, and the table int8 [N, K]."""
    lines = _lines(path)
    where, head = next(lines)
    if not (head.strip().isascii() and head.strip().isdigit()):
        raise DataError(f"{where}: expected the number of images, got {head.strip()!r}")
    announced = int(head)
    where, head = next(lines, (f"{path}:2", ""))
    names = head.split()
    if not names or not {"1", "-1"}.isdisjoint(names):
        raise DataError(f"{where}: expected the names of the attributes, got {head.strip()!r}")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{where}: duplicate attribute {twice}")
    present = _list_files(images)
    rows: dict[str, bytes] = {}
    for where, line in lines:
        file, *values = line.split() or [""]
        if len(values) != len(names):
            raise DataError(
                f"{where}: expected a file name and {len(names)} values, got {len(values)} values"
            )
        wrong = [value for value in values if value not in ("1", "-1")]
        if wrong:
            raise DataError(f"{where}: expected values 1 and -1, got {wrong[0]!r}")
        if file in rows:
            raise DataError(f"{where}: {file} has a line already")
        if file not in present:
            raise DataError(f"{where}: there is no picture {images / file}")
        rows[file] = bytes(value == "1" for value in values)
    if len(rows) != announced:
        raise DataError(f"{path}:1: announces {announced} images, but {len(rows)} lines follow")
    if not rows:
        raise DataError(f"{path}:1: the data set has no images")
    table = np.frombuffer(b"".join(rows.values()), np.int8).reshape(len(rows), len(names))
    return names, list(rows), table * np.int8(2) - np.int8(1)


def _read_partition(path: Path, attributes: Path, files: list[str]) -> np.ndarray:
    """Read the splits of the files, int8 [N]; lines of other files are ignored."""
    parts: dict[str, int] = {}
    for where, line in _lines(path):
        words = line.split()
        if len(words) != 2:
            raise DataError(f"{where}: expected a file name and a part, got {line.strip()!r}")
        file, part = words
        if part not in _PARTS:
            raise DataError(
                f"{where}: expected part 0 (train), 1 (validation) or 2 (test), got {part!r}"
            )
        if file in parts:
            raise DataError(f"{where}: {file} has a line already")
        parts[file] = int(part)
    for number, file in enumerate(files, start=3):
        if file not in parts:
            raise DataError(f"{attributes}:{number}: {file} has no line in {path}")
    return np.array([parts[file] for file in files], np.int8)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield `path:number` and text of each line, at least one. Raises DataError."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {getattr(error, 'strerror', error)}") from error
    for number, line in enumerate(text.rstrip().split("\n"), start=1):
        yield f"{path}:{number}", line


def _list_files(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError as error:
        raise DataError(f"cannot read the folder {folder}: {error.strerror}") from error
