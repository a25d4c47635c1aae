"""Data sets as NumPy arrays: named ones, folders of pictures, CelebA, and `.npz` files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from zoo.data import celeba, drawn_names, mapped_faces
from zoo.data.files import load_folder, load_npz
from zoo.data.sets import (
    DataSet,
    Split,
    add_frame,
    as_nhwc,
    hold_out,
    normalise,
    resize,
    split_by_seed,
)
from zoo.data.sources import SOURCES, Source, locate, locate_in
from zoo.data.styles import STYLES
from zoo.errors import ConfigError, DataError
from zoo.images.arrays import read_idx

LARGEST_SIZE = 4096
"""Largest side of images, in pixels."""

NAMES = (*SOURCES, *STYLES)
"""Names of the data sets that `load` knows."""


def load(
    name: str, size: int | None = None, channels: int | None = None, download: bool = True
) -> DataSet:
    """Load a data set by name (`NAMES`), or from a folder of pictures or an `.npz` file.

    `mnist:FOLDER` and `fashion-mnist:FOLDER` are the four IDX files of a folder, plain or
    compressed. A folder with `list_attr_celeba.txt` is read as CelebA. `A_FOLDER:B_FOLDER` and
    `pairs:FOLDER` are pairs of pictures (see `zoo.data.pairs`). `faces:COUNT`, `faces:endless` etc.
    are drawn faces (see `zoo.data.drawn_names`).

    The validation split of MNIST and Fashion-MNIST is the last 5,000 training images, that of drawn
    faces 2,000 faces of another seed. Other sets use their own validation split, or else a tenth
    of the training images chosen with a fixed seed.

    `size` and `channels` resize and convert all images; None keeps them. Faces of more than 64
    pixels are drawn at that size. MNIST and Fashion-MNIST of size 32 get a black frame around their
    28 pixels (LeCun et al. 1998). Raises `DataError` for data that are missing, damaged or of
    another format, and `ConfigError` for a size or number of channels out of range.
    """
    if size is not None and (type(size) is not int or not 1 <= size <= LARGEST_SIZE):
        raise ConfigError(
            f"the size of the images must be an integer from 1 to {LARGEST_SIZE}, got {size!r}"
        )
    if channels is not None and (type(channels) is not int or channels not in (1, 3)):
        raise ConfigError(f"channels must be 1 or 3, got {channels!r}")
    source, colon, folder = name.partition(":")
    if source in SOURCES:
        loaded = _load_idx(SOURCES[source], folder if colon else None, download)
        if (loaded.image_size, size) == (28, 32):
            loaded = loaded.mapped(lambda split: add_frame(split, 2))
        return _resized(loaded, size, channels)
    if drawn_names.is_drawn(name):
        return _resized(mapped_faces.load(name, size), size, channels)
    from zoo.data import pairs

    if pairs.is_pairs(name):
        return pairs.load_pairs(name, size, channels)
    path = Path(name)
    if os.path.isfile(path / celeba.ATTRIBUTES):
        return celeba.load_celeba(path, size, channels)
    if os.path.isdir(path):
        return load_folder(path, size, channels)
    if os.path.isfile(path) and path.suffix.lower() == ".npz":
        return load_npz(path, size, channels)
    problem = "is not an .npz file" if os.path.isfile(path) else "is not a data set, folder or file"
    known = ", ".join(NAMES)
    raise DataError(f"{name} {problem}; known data sets: {known}, faces:COUNT, faces:endless")


def find_named(name: str) -> str | None:
    """Return the named data set whose test images fit a training set; None if there is none.

    It is `faces` for `faces:COUNT`, and a name of `NAMES` itself. Raises `DataError` for a name of
    drawn faces that is not valid.
    """
    if drawn_names.is_drawn(name):
        return drawn_names.parse(name).style.name
    return name if name in NAMES else None


def _load_idx(source: Source, folder: str | None, download: bool) -> DataSet:
    if folder == "":
        raise DataError(f"{source.name}: expected {source.name}:FOLDER")
    files = locate(source, download) if folder is None else locate_in(source, Path(folder))
    parts = []
    for images_file, labels_file in (files[:2], files[2:]):
        images = as_nhwc(read_idx(images_file), images_file)
        labels = read_idx(labels_file).astype(np.int64)
        try:
            parts.append(Split(images, labels))
        except DataError as error:
            raise DataError(f"{images_file} and {labels_file.name}: {error}") from error
    # The last twelfth (5,000 of 60,000 images), so that the others keep their indices.
    train, validation = hold_out(parts[0], last=True)
    return DataSet(source.name, train, parts[1], source.classes, validation=validation)


def _resized(loaded: DataSet, size: int | None, channels: int | None) -> DataSet:
    return loaded.mapped(lambda split: resize(split, size, channels))


__all__ = [
    "NAMES",
    "SOURCES",
    "DataSet",
    "Source",
    "Split",
    "find_named",
    "load",
    "load_folder",
    "load_npz",
    "locate",
    "normalise",
    "read_idx",
    "resize",
    "split_by_seed",
]
