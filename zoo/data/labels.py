"""Conversion of labels to class indices."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from zoo.errors import DataError


def number_labels(
    labels: Mapping[str, np.ndarray | None], classes: list[str], source: object
) -> tuple[dict[str, np.ndarray | None], list[str]]:
    """Convert the labels of each split to int64 [N]; also return the names of the classes.

    `labels` maps a split's name to its array [N] or [N, 1], or None. Class names become indices
    into `classes`, or if that is empty, into the sorted names of the first split. Numbers stay.
    Raises DataError, naming the array, for fractions, NaN and other dtypes.
    """
    numbers: dict[str, np.ndarray | None] = {}
    for name, array in labels.items():
        where = f"{source}: {name}"
        if array is not None and array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array is not None and array.dtype.kind in "US":
            names = to_strings(array.ravel(), where)
            classes = classes or sorted(set(names))
            array = _index_names(names, classes, where).reshape(array.shape)
        numbers[name] = None if array is None else _to_integers(array, where)
    return numbers, classes


def to_strings(array: np.ndarray, where: str) -> list[str]:
    """Convert an array of strings, UTF-8 bytes or numbers to a list of strings. DataError."""
    if array.dtype.kind != "S":
        return [str(text) for text in array]
    try:
        return [bytes(text).decode() for text in array]
    except UnicodeDecodeError as error:
        raise DataError(f"{where} must be UTF-8: {error}") from error


def _index_names(names: list[str], classes: list[str], where: str) -> np.ndarray:
    places = {name: place for place, name in enumerate(classes)}
    for row, name in enumerate(names):
        if name not in places:
            known = ", ".join(classes[:5]) + ", …" * (len(classes) > 5)
            raise DataError(f"{where}: {name!r} in row {row} is not a class; classes: {known}")
    return np.array([places[name] for name in names], np.int64)


def _to_integers(array: np.ndarray, where: str) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise DataError(f"{where} must be numbers or names of classes, got {array.dtype}")
    # Larger integers are not exact in float64, and no class index is as large.
    wrong = np.argwhere(~(np.abs(array.astype(np.float64)) < 2**53) | (array != np.floor(array)))
    if len(wrong):
        row = tuple(wrong[0])
        raise DataError(f"{where} must be whole numbers, got {array[row]} in row {row[0]}")
    return array.astype(np.int64)
