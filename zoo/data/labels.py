"""The labels of a data set as numbers of its classes, from numbers or names of any kind."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from zoo.errors import DataError


def numbered(
    labels: Mapping[str, np.ndarray | None], classes: list[str], source: object
) -> tuple[dict[str, np.ndarray | None], list[str]]:
    """Labels of some parts as int64 [N] each, and the names of the classes.

    `labels` has each part's array [N] or [N, 1] under its name, None where there is none. Names of
    classes become their places in `classes`, which where it is empty are the names of the first
    part, sorted. Numbers stay; those with a fraction, NaN, and other kinds are refused with a
    DataError that names the array.
    """
    found: dict[str, np.ndarray | None] = {}
    for name, array in labels.items():
        where = f"{source}: {name}"
        if array is not None and array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array is not None and array.dtype.kind in "US":
            names = texts(array.ravel(), where)
            classes = classes or sorted(set(names))
            array = _places(names, classes, where).reshape(array.shape)
        found[name] = None if array is None else _whole(array, where)
    return found, classes


def texts(array: np.ndarray, where: str) -> list[str]:
    """An array of strings, of bytes in UTF-8, or of numbers as a list of strings. DataError."""
    if array.dtype.kind != "S":
        return [str(text) for text in array]
    try:
        return [bytes(text).decode() for text in array]
    except UnicodeDecodeError as error:
        raise DataError(f"{where} must be UTF-8: {error}") from error


def _places(names: list[str], classes: list[str], where: str) -> np.ndarray:
    places = {name: place for place, name in enumerate(classes)}
    for row, name in enumerate(names):
        if name not in places:
            known = ", ".join(classes[:5]) + ", …" * (len(classes) > 5)
            raise DataError(f"{where}: {name!r} in row {row} is no class; classes: {known}")
    return np.array([places[name] for name in names], np.int64)


def _whole(array: np.ndarray, where: str) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise DataError(f"{where} must be numbers or names of classes, got {array.dtype}")
    # Beyond the integers that a float of 64 bits tells apart there is no class.
    wrong = np.argwhere(~(np.abs(array.astype(np.float64)) < 2**53) | (array != np.floor(array)))
    if len(wrong):
        row = tuple(wrong[0])
        raise DataError(f"{where} must be whole numbers, got {array[row]} in row {row[0]}")
    return array.astype(np.int64)


__all__ = ["numbered", "texts"]
