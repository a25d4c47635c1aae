"""Values that no argument may have, by the kind of the argument."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np


class Raising:
    """Object with every protocol's method, each of which raises an unexpected error."""

    def __index__(self) -> int:
        raise KeyError("index")

    def __fspath__(self) -> str:
        raise ZeroDivisionError("path")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("two\nlines")

    def __repr__(self) -> str:
        raise RuntimeError("repr")


class Lying:
    """An array of a GPU, of which nothing is true."""

    def __init__(self, **entries: Any) -> None:
        whole = {"shape": (3, 8), "typestr": "<f4", "data": (4096, False), "version": 3}
        self.__cuda_array_interface__ = whole | entries


class Sharing:
    """An array by DLPack, whose owner does not give it away."""

    def __init__(self, device: Any = (2, 0), error: Exception | None = None) -> None:
        self.device, self.error = device, error

    def __dlpack_device__(self) -> Any:
        return self.device

    def __dlpack__(self, **_: Any) -> Any:
        raise self.error or BufferError("not mine to give")


def nested(depth: int) -> list[Any]:
    """A list in a list in a list …"""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def endless() -> list[Any]:
    """A list that holds itself."""
    value: list[Any] = []
    value.append(value)
    return value


ANYTHING: list[Any] = [
    None,
    "abc",
    b"abc",
    "\udce9",
    "a\0b",
    1.5,
    math.nan,
    1 + 1j,
    [],
    {},
    set(),
    object(),
    Raising(),
    lambda: None,
    np.datetime64("2020-01-01"),
    np.array([1, 2]),
    np.array([[True]]),
    np.zeros(3, [("a", "i4")]),
    [[1.0, 2.0], [3.0]],
    [object()] * 1000,
    10**5000,
    -(10**5000),
    [10**5000],
    nested(100),
    endless(),
]

INTEGERS = [value for value in ANYTHING] + [True, -1, 2**64, 10**400, np.float32(3), [1], "1"]

NUMBERS = [
    value for value in ANYTHING if value is None or not isinstance(value, float) or value != 1.5
] + [True, math.inf, -math.inf, 10**400, -(10**400), 1e300, -1.0, np.float64(1e39), [1.0], "1"]

TEXTS = [value for value in ANYTHING if value is None or not isinstance(value, (int, float))] + [
    "",
    "CPU",
    "cpu ",
    "cuda:-1",
    "cuda:1x",
    3,
]

FLAGS = [*ANYTHING, 2, -1, 1.0, "yes"]


def paths(folder: Path, engine: Path) -> list[Any]:
    """Return paths without a valid engine file."""
    (folder / "text.onnx").write_bytes(b"caf\xe9")
    return [
        *(value for value in ANYTHING if not isinstance(value, (str, bytes))),
        3,
        "",
        "\ud800.onnx",
        folder / "caf\udce9.onnx",
        bytes(folder) + b"/\xff.onnx",
        folder,
        folder / "text.onnx",
        folder / "text.onnx" / "below",
        f"{engine}\0.evil",
        bytes(engine) + b"\0.evil",
        "\0",
        "x" * 300,
    ]


def keys(rows: int) -> list[Any]:
    """Values that are no keys of `rows` images; integers of any type would be."""
    values = [*arrays(np.uint64, (rows, 2)), np.full((rows, 2), -1)]
    return [value for value in values if value is not None and not _are_keys(value, rows)]


def _are_keys(value: Any, rows: int) -> bool:
    plain = type(value) is np.ndarray and value.shape == (rows, 2) and value.dtype.kind in "iu"
    return plain and not (value < 0).any()


def arrays(dtype: type, shape: tuple[int, ...]) -> list[Any]:
    """For an argument of this shape and dtype: float32, or uint8."""
    good = np.zeros(shape, dtype)
    swapped = good.astype(good.dtype.newbyteorder("S") if dtype is np.uint8 else "S4")
    values: list[Any] = [
        *(value for value in ANYTHING if not isinstance(value, (int, float))),
        good[:0],
        good[np.newaxis],
        good[..., np.newaxis],
        np.zeros((*shape[:-1], shape[-1] + 1), dtype),
        good.astype(complex),
        good.astype(object),
        good.astype(bool),
        good.astype("M8[s]"),
        np.ma.masked_array(good, mask=np.ones(shape, bool)),
        Lying(),
        Lying(mask=good),
        Lying(shape=None),
        Lying(shape=(3, -8)),
        Lying(shape=("a", 8)),
        Lying(data=None),
        Lying(data=(0, False)),
        Lying(typestr=""),
        Lying(typestr="<f"),
        Lying(strides=(4,)),
        Lying(strides=3),
        Sharing(),
        Sharing(error=ZeroDivisionError()),
        Sharing(device=None),
        Sharing(device="ab"),
        Sharing(device=(2,)),
        Sharing(device=(2, 10**30)),
        Sharing(device=(1, 0)),
    ]
    if swapped.dtype != good.dtype:
        values.append(swapped)
    if dtype is np.float32:
        values += [np.full(shape, value) for value in (math.nan, math.inf, 1e300)]
    else:
        values += [good.astype(kind) for kind in (np.int8, np.int64, np.float32)]
    return values


def labels(classes: int) -> list[Any]:
    """For images of so many classes, three at a time."""
    return [
        *(value for value in ANYTHING if value is not None),
        -1,
        classes,
        10**400,
        True,
        math.inf,
        [0, 1],
        [0] * 4,
        [0, 1, classes],
        [0, 1, None],
        [0, 1, True],
        [0, 1, math.nan],
        [0, 1, 10**400],
        [[0], [1], [2]],
        [[0], 1, 2],
        np.array([0.0, 1.0, 2.0]),
        np.array([0, 1, 2**64 - 1], np.uint64),
        np.array([0, 1, -1]),
        np.ma.masked_array([0, 1, 2], mask=[True, False, False]),
    ]


def outs(shape: tuple[int, ...], dtype: type) -> list[Any]:
    """For results of this shape and dtype."""
    good = np.zeros(shape, dtype)
    frozen = good.copy()
    frozen.flags.writeable = False
    values: list[Any] = [
        *(value for value in ANYTHING if not isinstance(value, float)),
        "gpu",
        bytearray(good.nbytes),
        good[:0],
        good[:-1],
        good[np.newaxis],
        good.astype(np.int16),
        good.astype(good.dtype.newbyteorder("S")) if dtype is not np.uint8 else good.view(np.int8),
        frozen,
        good[::-1],
        np.zeros((2 * shape[0], *shape[1:]), dtype)[::2],
        np.broadcast_to(good[:1], shape),
        np.ma.masked_array(good),
        Lying(),
        Lying(data=(4096, True)),
        Sharing(),
    ]
    if dtype is np.float32:
        bytes_ = np.zeros(good.nbytes + 1, np.uint8)
        values.append(bytes_[1:].view(np.float32).reshape(shape))
    return values


def huge(shape: tuple[int, ...], dtype: type) -> list[Any]:
    """Arrays that are small as they are, and too large once they are dense."""
    one = np.zeros((1, *shape[1:]), dtype)
    if dtype is np.uint8:
        one = np.zeros((1, *shape[1:-1], 2 * shape[-1]), dtype)[..., ::2]
    return [np.broadcast_to(one, (2**42, *shape[1:]))]
