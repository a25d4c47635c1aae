"""Tensors of the protocol: their types, and their values as raw bytes or as lists."""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.serving.parameters import RequestError, show

DTYPES: dict[str, np.dtype[Any]] = {
    "UINT8": np.dtype("u1"),
    "INT64": np.dtype("<i8"),
    "UINT64": np.dtype("<u8"),
    "FP32": np.dtype("<f4"),
}
"""Types of numbers; raw values are little-endian. Texts are BYTES."""

_NUMBERS: dict[str, set[type]] = {"f": {int, float}, "i": {int}, "u": {int}}


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a model.

    shape: -1 stands for the rows of a request, of which there is at least one. alternative: a
    second type that an input accepts.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False
    alternative: str | None = None


@dataclass(frozen=True)
class TensorData:
    """An input of a request, not yet checked: `values` are raw bytes, or a list."""

    name: str
    datatype: Any
    shape: Any
    values: Any


def read(spec: TensorSpec, data: TensorData, most: int) -> Any:
    """Return the values of an input: an array, or for BYTES a list of texts.

    most: the largest number of rows. Raises RequestError that names the input.
    """
    datatypes = [each for each in (spec.datatype, spec.alternative) if each]
    if data.datatype not in datatypes:
        raise _error(spec, f"expected datatype {' or '.join(datatypes)}, got {show(data.datatype)}")
    shape = _check_shape(spec, data.shape, most)
    count = math.prod(shape)
    if isinstance(data.values, (bytes, memoryview)):
        if data.datatype == "BYTES":
            return [_decode(spec, each) for each in _split(spec, data.values, count)]
        dtype = DTYPES[data.datatype]
        if len(data.values) != count * dtype.itemsize:
            raise _error(spec, f"expected {count * dtype.itemsize} bytes, got {len(data.values)}")
        return np.frombuffer(data.values, dtype).reshape(shape)
    values = _flatten(spec, data.values, shape)
    if data.datatype == "BYTES":
        return [_decode(spec, each) for each in values]
    return _convert(spec, values, DTYPES[data.datatype]).reshape(shape)


def _error(spec: TensorSpec, message: str) -> RequestError:
    return RequestError(f"input {spec.name}: {message}")


def _check_shape(spec: TensorSpec, shape: Any, most: int) -> tuple[int, ...]:
    fits = (
        isinstance(shape, list)
        and len(shape) == len(spec.shape)
        and all(type(size) is int for size in shape)
        and all(want in (-1, size) for want, size in zip(spec.shape, shape, strict=True))
    )
    if not fits or shape[0] < 1:
        raise _error(spec, f"expected shape {show(spec.shape)}, got {show(shape)}")
    if shape[0] > most:
        raise _error(spec, f"expected at most {most} rows, got {shape[0]}")
    return tuple(shape)


def _flatten(spec: TensorSpec, values: Any, shape: Sequence[int]) -> list[Any]:
    """Return the elements of lists that are nested as the shape says, or not at all."""
    if not isinstance(values, list):
        raise _error(spec, f"expected its values as a list, got {show(values)}")
    if values and isinstance(values[0], list):
        count = 1
        for size, inner in itertools.pairwise(shape):
            count *= size
            nested = set(map(type, values)) == {list} and set(map(len, values)) == {inner}
            if len(values) != count or not nested:
                raise _error(spec, "expected lists that are nested as the shape says")
            values = list(itertools.chain.from_iterable(values))
    if len(values) != math.prod(shape):
        raise _error(spec, f"expected {math.prod(shape)} values, got {len(values)}")
    return values


def _convert(spec: TensorSpec, values: list[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    fits = set(map(type, values)) <= _NUMBERS[dtype.kind]
    if fits and dtype.kind != "f":
        info = np.iinfo(dtype)
        fits = info.min <= min(values) and max(values) <= info.max
    if fits:
        try:
            return np.array(values, dtype)
        except OverflowError:  # an integer beyond all floats
            pass
    raise _error(spec, f"expected numbers of {dtype.name}")


def _split(spec: TensorSpec, content: bytes | memoryview, count: int) -> list[bytes]:
    """Return elements of BYTES: each has its length before it, in four bytes."""
    elements: list[bytes] = []
    offset = 0
    while offset + 4 <= len(content) and len(elements) < count:
        (length,) = struct.unpack_from("<I", content, offset)
        offset += 4 + length
        elements.append(bytes(content[offset - length : offset]))
    if offset != len(content) or len(elements) != count:
        raise _error(spec, f"expected {count} elements, each after its length in four bytes")
    return elements


def _decode(spec: TensorSpec, value: Any) -> str:
    try:
        text = value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        text = None
    if not isinstance(text, str):
        raise _error(spec, f"expected texts of UTF-8, got {show(value)}")
    return text
