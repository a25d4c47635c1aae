"""Where the arrays of a call are: in the host's memory, or a GPU's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from runtime._arguments import floats, shown
from runtime._arguments import pictures as _pictures
from runtime._conditions import rows
from runtime.device_array import View, empty, finished
from runtime.errors import ArgumentError


@dataclass(frozen=True)
class Given:
    """Rows that go in: `native` is what C++ takes; `owner` keeps a GPU's memory as it is."""

    native: Any
    rows: int
    owner: Any = None

    row_bytes: int = 0

    @property
    def on_device(self) -> bool:
        """Whether they are in a GPU's memory."""
        return isinstance(self.native, tuple)

    @property
    def span(self) -> tuple[bool, int, int]:
        """Their memory: whether it is a GPU's, and where it begins and ends."""
        address = self.native[0] if self.on_device else _address(self.native)
        return self.on_device, address, address + self.rows * self.row_bytes


def _address(array: np.ndarray) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def pictures(name: str, value: Any, shape: tuple[int, int, int]) -> Given:
    """Images uint8 [n, *shape], of the host or a GPU. Raises ArgumentError."""
    view = finished(name, value)
    if view is None:
        array = _pictures(name, value, shape)
        return Given(array, len(array), row_bytes=math.prod(shape))
    view.check(name, ("|u1",), (None, *shape))
    rows = view.shape[0]
    return Given((view.address, rows), rows, view.owner, math.prod(shape))


def latents(name: str, value: Any, width: int, n: int | None = None) -> Given:
    """Latents float32 [n, width], of the host or a GPU; of the host also [width], if n is given.

    Raises ArgumentError.
    """
    view = finished(name, value)
    if view is not None:
        if len(view.shape) == 1 and n is not None:
            raise ArgumentError(f"{name}: one row for all is expected in the host's memory")
        view.check(name, ("<f4",), (n, width))
        return Given((view.address, view.shape[0]), view.shape[0], view.owner, 4 * width)
    array = floats(name, value, (None, width)) if n is None else rows(name, value, n, width)
    return Given(array, len(array), row_bytes=4 * width)


def of_host(name: str, value: Any) -> None:
    """Raise ArgumentError for an array in a GPU's memory."""
    if finished(name, value) is not None:
        raise ArgumentError(f"{name}: expected an array in the host's memory")


@dataclass(frozen=True)
class Target:
    """Where results go: `native` is what C++ takes (None: it makes an array), `array` is theirs."""

    native: tuple[int, bool] | None
    array: Any = None
    owner: Any = None

    def filled(self, made: Any) -> Any:
        """The results, when C++ has given back `made`."""
        return made if self.native is None else self.array


def target(
    out: Any, device: str, shape: Sequence[int], dtype: DTypeLike, *inputs: Given | None
) -> Target:
    """The place of results of this shape, as `out` of `Generator.sample` names it.

    Raises ArgumentError, also where it is memory of the inputs, rows of which are still read when
    the first results are written; OutOfMemoryError.
    """
    if isinstance(out, str):
        if out == "numpy":
            return Target(None)
        if out != "device":
            raise ArgumentError(f"out: expected 'numpy', 'device' or an array, got {shown(out)}")
        if device == "cpu":
            raise ArgumentError("out: the engine runs on the CPU, expected 'numpy' or an array")
        made = empty(shape, dtype, int(device.removeprefix("cuda:")))
        return Target((made.address, True), made)
    kind = np.dtype(dtype)
    if isinstance(out, np.ndarray):
        if isinstance(out, np.ma.MaskedArray):
            raise ArgumentError("out: expected an array without a mask")
        view = View(
            out.__array_interface__["data"][0],
            out.shape,
            out.dtype.str,
            out.flags.c_contiguous,
            not out.flags.writeable,
            out,
        )
    else:
        found = finished("out", out)
        if found is None:
            raise ArgumentError(
                f"out: expected 'numpy', 'device' or an array of NumPy or a GPU, got {type(out)}"
            )
        view = found
    view.check("out", (kind.str,), tuple(shape)).check_writable("out")
    where, end = not isinstance(out, np.ndarray), view.address + math.prod(shape) * kind.itemsize
    for given in inputs:
        if given is None or given.span[0] != where:
            continue
        if view.address < given.span[2] and given.span[1] < end:
            raise ArgumentError("out: expected an array that shares no memory with the inputs")
    return Target((view.address, not isinstance(out, np.ndarray)), out, view.owner)
