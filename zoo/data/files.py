"""Data sets in files of one's own: a folder of pictures, or an `.npz`."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from zoo.data.sets import DataSet, Split, as_nhwc, fit, resize, split_by_seed
from zoo.errors import DataError
from zoo.images.convert import decoding, opened
from zoo.images.read import PICTURES, no_pictures


def load_folder(path: Path, size: int | None = None, channels: int | None = None) -> DataSet:
    """Load a folder of pictures, as a data set of the folder's name.

    Layouts: `train/` and `test/` inside, or no split (one tenth is then held out, by a fixed
    seed); in either case one folder a class, or pictures without classes. Pictures are cropped to
    their central square and resized to `size` pixels (default: the size of the first one).
    Raises `DataError` when there is no picture, or one cannot be read.
    """
    if (path / "train").is_dir() and (path / "test").is_dir():
        classes = _classes(path / "train")
        train = _read_tree(path / "train", classes, size, channels)
        _, side, _, depth = train.images.shape
        test = _read_tree(path / "test", classes, side, depth)
    else:
        classes = _classes(path)
        train, test = split_by_seed(_read_tree(path, classes, size, channels))
    return DataSet(path.resolve().name, train, test, classes)


def _classes(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir() and pictures(entry))


def pictures(path: Path) -> list[Path]:
    """All pictures under a folder, sorted."""
    files = (file for file in path.rglob("*") if file.suffix.lower() in PICTURES)
    return sorted(file for file in files if file.is_file())


def _read_tree(path: Path, classes: list[str], size: int | None, channels: int | None) -> Split:
    groups = [pictures(path / name) for name in classes] if classes else [pictures(path)]
    images: list[np.ndarray] = []
    for file in (file for group in groups for file in group):
        images.append(read_picture(file, size, channels))
        _, size, channels = images[0].shape
    if not images:
        raise no_pictures(path)
    labels = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    return Split(np.stack(images), labels if classes else None)


def read_picture(file: Path, size: int | None, channels: int | None) -> np.ndarray:
    """A picture as uint8 [size, size, channels], as `fit` makes it; DataError for a bad one."""
    with decoding(file), opened(file) as picture:
        return fit(picture, size, channels)


def load_npz(path: Path, size: int | None = None, channels: int | None = None) -> DataSet:
    """Load an `.npz` as a data set of the file's name.

    Arrays: `images` (and `labels`, `attributes`), of which one tenth is held out by a fixed seed;
    or `train_images` and `test_images` (and `train_labels`, `train_attributes`, …). Images are
    uint8 [N, H, W] or [N, H, W, C], attributes [N, K] of 1 and -1; `classes` and
    `attribute_names` may give the names. Raises `DataError` for anything else.
    """
    try:
        # Never unpickle: an .npz may come from anywhere.
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read {path} as .npz: {error}") from error
    if "train_images" in arrays and "test_images" in arrays:
        train, test = _arrays(arrays, "train_", path), _arrays(arrays, "test_", path)
    elif "images" in arrays:
        train, test = split_by_seed(_arrays(arrays, "", path))
    else:
        raise DataError(
            f"{path} holds {', '.join(arrays) or 'no arrays'}; expected `images`, "
            "or `train_images` and `test_images`"
        )
    classes = _names(arrays, "classes")
    train = resize(train, size, channels)
    _, side, _, depth = train.images.shape
    test = resize(test, side, depth)
    if train.attributes is None and test.attributes is None:
        return DataSet(path.stem, train, test, classes)
    columns = 0 if train.attributes is None else train.attributes.shape[1]
    names = _names(arrays, "attribute_names") or [f"attribute_{k}" for k in range(columns)]
    return DataSet(path.stem, train, test, classes, names)


def _names(arrays: dict[str, np.ndarray], key: str) -> list[str]:
    return [str(name) for name in np.ravel(arrays.get(key, []))]


def _arrays(arrays: dict[str, np.ndarray], prefix: str, path: Path) -> Split:
    labels = arrays.get(f"{prefix}labels")
    images = as_nhwc(arrays[f"{prefix}images"], f"{path}: {prefix}images")
    attributes = arrays.get(f"{prefix}attributes")
    if attributes is not None:
        wrong = attributes[(attributes != 1) & (attributes != -1)]
        if wrong.size:
            raise DataError(f"{path}: {prefix}attributes must be 1 or -1, got {wrong.flat[0]}")
        attributes = attributes.astype(np.int8)
    return Split(images, None if labels is None else labels.astype(np.int64), attributes)
