"""Checks that the public functions share: what is wrong is said before C++ is called."""

import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime.errors import ArgumentError

UINT64_MAX = 2**64 - 1


def integer(name: str, value: Any, low: int, high: int) -> int:
    """`value` as an int in low … high; a bool, a float or a string is refused."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise ArgumentError(f"{name}: expected an integer, got {value!r}")
    if not low <= number <= high:
        if high == UINT64_MAX and low == 0:
            expected = "an integer of 64 bits, 0 to 2**64 - 1"
        else:
            expected = f"at least {low}" if number < low else f"at most {high}"
        raise ArgumentError(f"{name}: expected {expected}, got {number}")
    return number


def floats(name: str, value: ArrayLike, shape: tuple[int | None, ...]) -> NDArray[np.float32]:
    """`value` as a C-contiguous float32 array of that shape; None stands for any size above 0."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ArgumentError(f"{name}: expected an array, got {error}") from error
    if array.dtype.kind not in "fiu":
        raise ArgumentError(f"{name}: expected numbers, got dtype {array.dtype}")
    fits = array.ndim == len(shape) and all(
        size == wanted if wanted is not None else size > 0
        for size, wanted in zip(array.shape, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ArgumentError(f"{name}: expected shape ({wanted}), got {array.shape}")
    return np.ascontiguousarray(array, dtype=np.float32)


def pictures(name: str, value: Any, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """`value` as a C-contiguous uint8 array [n, *shape], n above 0."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ArgumentError(f"{name}: expected an array, got {error}") from error
    if array.dtype != np.uint8:
        raise ArgumentError(f"{name}: expected dtype uint8, got {array.dtype}")
    if array.ndim != 4 or array.shape[1:] != shape or array.shape[0] == 0:
        wanted = ", ".join(map(str, shape))
        raise ArgumentError(f"{name}: expected shape (n, {wanted}), got {array.shape}")
    return np.ascontiguousarray(array)
