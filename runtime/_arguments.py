"""Checks of arguments that the public functions share, converted before C++ is called."""

import math
import operator
import os
from collections.abc import Sequence
from reprlib import Repr
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from runtime.errors import ArgumentError, OutOfMemoryError

UINT64_MAX = 2**64 - 1

_FLOAT_MAX = float(np.finfo(np.float32).max)
# Whatever the value is, it becomes a part of one line.
_repr = Repr()
_repr.maxstring = _repr.maxother = 100
_MANY_BITS = 256


def describe(value: Any) -> str:
    """Return a short, one-line representation of a value for a message; never raises."""
    if isinstance(value, int) and value.bit_length() > _MANY_BITS:
        return f"an integer of {value.bit_length()} bits"
    try:
        return one_line(_repr.repr(value))
    except Exception:
        return f"an object of type {type(value).__name__}"


def one_line(text: object) -> str:
    """Return a text, or the message of an exception, as one line."""
    return " ".join(str(text).split())


def as_integer(name: str, value: Any, low: int, high: int) -> int:
    """Return `value` as an int in low … high. Raises ArgumentError, also for a bool or a float."""
    try:
        number = operator.index(value)
    except Exception:  # __index__ of a foreign class may raise anything
        number = None
    if number is None or isinstance(value, bool):
        raise ArgumentError(f"{name}: expected an integer, got {describe(value)}")
    if not low <= number <= high:
        if high == UINT64_MAX and low == 0:
            expected = "an integer of 64 bits, 0 to 2**64 - 1"
        else:
            expected = f"at least {low}" if number < low else f"at most {high}"
        raise ArgumentError(f"{name}: expected {expected}, got {describe(number)}")
    return number


def as_scale(name: str, value: Any) -> float:
    """Return `value` as a float in 0 … float32's maximum. Raises ArgumentError, also for a bool."""
    known = isinstance(value, (int, float, np.integer, np.floating))
    if not known or isinstance(value, bool):
        raise ArgumentError(f"{name}: expected a number, got {describe(value)}")
    try:
        real = float(value)
    except OverflowError:
        real = math.inf
    if not 0 <= real <= _FLOAT_MAX:
        raise ArgumentError(
            f"{name}: expected a finite number of at least 0, got {describe(value)}"
        )
    return real


def as_flag(name: str, value: Any) -> bool:
    """Return `value` as a bool. Raises ArgumentError unless it is a bool, 0 or 1."""
    if isinstance(value, (bool, np.bool_)) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    raise ArgumentError(f"{name}: expected True or False, got {describe(value)}")


def as_text(name: str, value: Any) -> str:
    """Return `value`. Raises ArgumentError unless it is a string that UTF-8 can encode."""
    if not isinstance(value, str):
        raise ArgumentError(f"{name}: expected a string, got {describe(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ArgumentError(f"{name}: expected valid Unicode, got {describe(value)}") from None
    return value


def as_path(name: str, value: Any) -> str:
    """Return a path as `os.fsdecode` decodes it; `os.fsencode` gives the bytes that C++ takes."""
    try:
        decoded = os.fsdecode(value)
        os.fsencode(decoded)
    except Exception:  # __fspath__ of a foreign class may raise anything
        raise ArgumentError(f"{name}: expected a path, got {describe(value)}") from None
    if "\0" in decoded:
        raise ArgumentError(f"{name}: expected no NUL in a path, got {describe(decoded)}")
    return decoded


def as_array(name: str, value: Any) -> NDArray[Any]:
    """Return `value` as a NumPy array.

    Raises ArgumentError with the message of NumPy or of the array's package, and for a masked
    array, whose hidden values would be used; OutOfMemoryError.
    """
    try:
        converted = np.asarray(value)
    except MemoryError as error:
        raise OutOfMemoryError(f"{name}: {one_line(error)}") from error
    except Exception as error:  # a tensor that requires a gradient raises RuntimeError, for example
        raise ArgumentError(f"{name}: expected an array, got {one_line(error)}") from error
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ArgumentError(f"{name}: expected an array without a mask")
    return converted


def as_dense(name: str, converted: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Return an aligned, C-contiguous array of this dtype; values too large become infinite."""
    try:
        with np.errstate(over="ignore"):
            return np.require(converted, dtype, ["C_CONTIGUOUS", "ALIGNED"])
    except MemoryError as error:
        raise OutOfMemoryError(f"{name}: {one_line(error)}") from error


def allocate(name: str, shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
    """Return a new array. Raises OutOfMemoryError naming the argument that sets its size."""
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError) as error:  # ValueError if the size does not fit in 64 bits
        raise OutOfMemoryError(f"{name}: {one_line(error)}") from error


def as_floats(name: str, value: Any, shape: tuple[int | None, ...]) -> NDArray[np.float32]:
    """Return `value` as a C-contiguous float32 array of this shape; None is any size above 0."""
    converted = as_array(name, value)
    if converted.dtype.kind not in "fiu":
        raise ArgumentError(f"{name}: expected numbers, got dtype {converted.dtype}")
    fits = converted.ndim == len(shape) and all(
        size == expected if expected is not None else size > 0
        for size, expected in zip(converted.shape, shape, strict=True)
    )
    if not fits:
        sizes = ", ".join("any" if size is None else str(size) for size in shape)
        raise ArgumentError(f"{name}: expected shape ({sizes}), got {converted.shape}")
    return as_dense(name, converted, np.float32)


def as_keys(value: Any, n: int) -> NDArray[np.uint64] | None:
    """Return `value` as a C-contiguous uint64 array [n, 2], or None. Raises ArgumentError."""
    if value is None:
        return None
    converted = as_array("keys", value)
    if converted.dtype.kind in "fO" and not hasattr(value, "dtype"):
        # NumPy makes floats of integers that fit in neither int64 nor uint64 together.
        each = np.array(value, object)
        numbers = [as_integer("keys", number, 0, UINT64_MAX) for number in each.flat]
        converted = np.array(numbers, np.uint64).reshape(each.shape)
    if converted.dtype.kind not in "iu":
        raise ArgumentError(f"keys: expected integers of 64 bits, got dtype {converted.dtype}")
    if converted.shape != (n, 2):
        raise ArgumentError(f"keys: expected shape ({n}, 2), got {converted.shape}")
    if (converted < 0).any():
        raise ArgumentError(f"keys: expected integers of at least 0, got {converted.min()}")
    return as_dense("keys", converted, np.uint64)


def as_images(name: str, value: Any, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return `value` as a C-contiguous uint8 array [n, *shape], n above 0."""
    converted = as_array(name, value)
    if converted.dtype != np.uint8:
        raise ArgumentError(f"{name}: expected dtype uint8, got {converted.dtype}")
    if converted.ndim != 4 or converted.shape[1:] != shape or converted.shape[0] == 0:
        sizes = ", ".join(map(str, shape))
        raise ArgumentError(f"{name}: expected shape (n, {sizes}), got {converted.shape}")
    return as_dense(name, converted, np.uint8)
