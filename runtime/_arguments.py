"""Checks that the public functions share: what is wrong is said before C++ is called."""

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


def shown(value: Any) -> str:
    """A value as it stands in a message: one line of some words, whatever it is."""
    if isinstance(value, int) and value.bit_length() > _MANY_BITS:
        return f"an integer of {value.bit_length()} bits"
    try:
        return line(_repr.repr(value))
    except Exception:
        return f"an object of type {type(value).__name__}"


def line(text: object) -> str:
    """A text, or what an exception says, in one line."""
    return " ".join(str(text).split())


def integer(name: str, value: Any, low: int, high: int) -> int:
    """`value` as an int in low … high; a bool, a float or a string is refused."""
    try:
        number = operator.index(value)
    except Exception:  # of a class that calls itself an integer, any
        number = None
    if number is None or isinstance(value, bool):
        raise ArgumentError(f"{name}: expected an integer, got {shown(value)}")
    if not low <= number <= high:
        if high == UINT64_MAX and low == 0:
            expected = "an integer of 64 bits, 0 to 2**64 - 1"
        else:
            expected = f"at least {low}" if number < low else f"at most {high}"
        raise ArgumentError(f"{name}: expected {expected}, got {shown(number)}")
    return number


def scale(name: str, value: Any) -> float:
    """`value` as a float of at least 0 that float32 can hold; a bool or a string is refused."""
    known = isinstance(value, (int, float, np.integer, np.floating))
    if not known or isinstance(value, bool):
        raise ArgumentError(f"{name}: expected a number, got {shown(value)}")
    try:
        real = float(value)
    except OverflowError:
        real = math.inf
    if not 0 <= real <= _FLOAT_MAX:
        raise ArgumentError(f"{name}: expected a finite number of at least 0, got {shown(value)}")
    return real


def flag(name: str, value: Any) -> bool:
    """`value` as a bool; what is neither a bool nor 0 or 1 is refused."""
    if isinstance(value, (bool, np.bool_)) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    raise ArgumentError(f"{name}: expected True or False, got {shown(value)}")


def text(name: str, value: Any) -> str:
    """`value`, if it is a string that UTF-8 can hold."""
    if not isinstance(value, str):
        raise ArgumentError(f"{name}: expected a string, got {shown(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ArgumentError(f"{name}: expected valid Unicode, got {shown(value)}") from None
    return value


def path(name: str, value: Any) -> str:
    """A path, as `os.fsdecode` gives it; `os.fsencode` makes of it the bytes that C++ takes."""
    try:
        decoded = os.fsdecode(value)
        os.fsencode(decoded)
    except Exception:  # also of a __fspath__ that fails
        raise ArgumentError(f"{name}: expected a path, got {shown(value)}") from None
    if "\0" in decoded:
        raise ArgumentError(f"{name}: expected no NUL in a path, got {shown(decoded)}")
    return decoded


def array(name: str, value: Any) -> NDArray[Any]:
    """`value` as an array of NumPy's.

    Raises ArgumentError with what NumPy or its owner says against it, and for one that hides values
    behind a mask, which would be taken for good ones.
    """
    try:
        made = np.asarray(value)
    except MemoryError as error:
        raise OutOfMemoryError(f"{name}: {line(error)}") from error
    except Exception as error:  # a tensor's that needs a gradient, say: a RuntimeError
        raise ArgumentError(f"{name}: expected an array, got {line(error)}") from error
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ArgumentError(f"{name}: expected an array without a mask")
    return made


def dense(name: str, made: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """An array as one of this dtype without gaps, aligned. What is too large becomes infinite."""
    try:
        with np.errstate(over="ignore"):
            return np.require(made, dtype, ["C_CONTIGUOUS", "ALIGNED"])
    except MemoryError as error:
        raise OutOfMemoryError(f"{name}: {line(error)}") from error


def new(name: str, shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
    """A new array. Raises OutOfMemoryError, which names the argument that made it so large."""
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError) as error:  # the latter where the size has no 64 bits
        raise OutOfMemoryError(f"{name}: {line(error)}") from error


def floats(name: str, value: Any, shape: tuple[int | None, ...]) -> NDArray[np.float32]:
    """`value` as a C-contiguous float32 array of that shape; None stands for any size above 0."""
    made = array(name, value)
    if made.dtype.kind not in "fiu":
        raise ArgumentError(f"{name}: expected numbers, got dtype {made.dtype}")
    fits = made.ndim == len(shape) and all(
        size == wanted if wanted is not None else size > 0
        for size, wanted in zip(made.shape, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ArgumentError(f"{name}: expected shape ({wanted}), got {made.shape}")
    return dense(name, made, np.float32)


def pictures(name: str, value: Any, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """`value` as a C-contiguous uint8 array [n, *shape], n above 0."""
    made = array(name, value)
    if made.dtype != np.uint8:
        raise ArgumentError(f"{name}: expected dtype uint8, got {made.dtype}")
    if made.ndim != 4 or made.shape[1:] != shape or made.shape[0] == 0:
        wanted = ", ".join(map(str, shape))
        raise ArgumentError(f"{name}: expected shape (n, {wanted}), got {made.shape}")
    return dense(name, made, np.uint8)
