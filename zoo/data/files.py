"""Data sets in user files: a folder of pictures, or an `.npz`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data import labels as labelled
from zoo.data.layout import find_classes, find_parts
from zoo.data.pictures import read_parts
from zoo.data.sets import BY_SEED, DataSet, Split, as_nhwc, resize, split_by_seed
from zoo.errors import DataError
from zoo.images.arrays import open_archive


def load_folder(path: Path, size: int | None = None, channels: int | None = None) -> DataSet:
    """Load a folder of pictures, as a data set named after the folder.

    Layouts: one folder per class, or pictures without folders, with a tenth held out by a fixed
    seed; or either of them in `train/` and `test/`, and optionally `validation/`, `val/` or
    `valid/`, which is used as the test split if there is no `test/`. Case does not matter. Hidden
    files and folders are ignored. Other layouts are refused.

    The EXIF orientation is applied. Pictures are cropped to their central square, composed on white
    if transparent, and resized to `size` pixels; None requires one size. `channels` None means grey
    if all pictures are grey. Pictures that cannot be read are skipped and listed in `skipped`.
    Raises `DataError`.
    """
    parts = find_parts(path)
    classes = find_classes(parts)
    items = [[(file,) for file in part.files] for part in parts.values()]
    loaded, skipped = read_parts(items, size, [channels])
    splits = {}
    for (name, part), read in zip(parts.items(), loaded, strict=True):
        numbers = None
        if classes:
            indices = [classes.index(file.partition("/")[0]) for file in part.names]
            numbers = np.array(indices, np.int64)[read.rows]
        splits[name] = Split(read.arrays[0], numbers)
    if "test" not in splits:
        (everything,) = splits.values()
        splits["train"], splits["test"] = split_by_seed(everything)
    return DataSet(
        path.resolve().name,
        splits["train"],
        splits["test"],
        classes,
        skipped=skipped,
        validation=splits.get("validation", BY_SEED),
    )


def load_npz(path: Path, size: int | None = None, channels: int | None = None) -> DataSet:
    """Load an `.npz` as a data set named after the file.

    Arrays: `images` (and `labels`, `attributes`), with a tenth held out by a fixed seed; or
    `train_images`, `test_images`, and optionally `validation_images` (and `train_labels`,
    `train_attributes`, …). Images are uint8 [N, H, W] or [N, H, W, C], cropped to their central
    square, and must have one size unless `size` is given. Labels are class indices from 0, or
    class names; attributes are [N, K] of 1 and -1. `classes` and `attribute_names` are optional.
    Raises `DataError` for anything else.
    """
    with open_archive(path) as archive:
        if {"train_images", "test_images"} <= set(archive.names):
            prefixes = ["train_", "test_"]
            if "validation_images" in archive:
                prefixes.append("validation_")
        elif "images" in archive:
            prefixes = [""]
        else:
            raise DataError(
                f"{path} holds {', '.join(archive.names) or 'no arrays'}; expected `images`, "
                "or `train_images` and `test_images`"
            )
        kinds = ("images", "labels", "attributes")
        known = [f"{prefix}{kind}" for prefix in prefixes for kind in kinds]
        known += ["classes", "attribute_names"]
        arrays = {name: archive.read(name) for name in known if name in archive}
    classes = _names(arrays, "classes", path)
    numbers, classes = labelled.number_labels(
        {f"{prefix}labels": arrays.get(f"{prefix}labels") for prefix in prefixes}, classes, path
    )
    splits = [_split(arrays, prefix, numbers[f"{prefix}labels"], path) for prefix in prefixes]
    for prefix, split in zip(prefixes, splits, strict=True):
        _check_alike(f"{path}: {prefixes[0]}images", splits[0], f"{prefix}images", split, size)
    deep = max(split.images.shape[3] for split in splits)
    splits = [resize(split, size, channels or deep) for split in splits]
    train, test, *rest = splits if len(splits) > 1 else split_by_seed(splits[0])
    validation = rest[0] if rest else BY_SEED
    names: list[str] = []
    if train.attributes is not None or test.attributes is not None:
        columns = 0 if train.attributes is None else train.attributes.shape[1]
        names = _names(arrays, "attribute_names", path)
        names = names or [f"attribute_{k}" for k in range(columns)]
    return DataSet(path.stem, train, test, classes, names, validation=validation)


def _names(arrays: dict[str, np.ndarray], key: str, path: Path) -> list[str]:
    names = arrays.get(key, np.array([], np.str_))
    if names.ndim != 1:
        raise DataError(f"{path}: {key} must be one row of names, got {list(names.shape)}")
    return labelled.to_strings(names, f"{path}: {key}")


def _check_alike(name: str, first: Split, other_name: str, other: Split, size: int | None) -> None:
    """Raise DataError for images of another size than the first, unless `size` is given."""
    shape, other_shape = first.images.shape[1:3], other.images.shape[1:3]
    if size is None and shape != other_shape:
        raise DataError(
            f"{name} are {shape[0]}×{shape[1]} and {other_name} {other_shape[0]}×{other_shape[1]}: "
            "expected one size, or a size for all (--image-size, --resize)"
        )


def _split(
    arrays: dict[str, np.ndarray], prefix: str, labels: np.ndarray | None, path: Path
) -> Split:
    images = as_nhwc(arrays[f"{prefix}images"], f"{path}: {prefix}images")
    attributes = arrays.get(f"{prefix}attributes")
    if attributes is not None:
        wrong = attributes[(attributes != 1) & (attributes != -1)]
        if wrong.size:
            raise DataError(
                f"{path}: {prefix}attributes must be 1 or -1, got {wrong.flat[0]} "
                f"({attributes.dtype})"
            )
        attributes = attributes.astype(np.int8)
    try:
        return Split(images, labels, attributes)
    except DataError as error:
        raise DataError(f"{path}: {prefix}{error}") from error
