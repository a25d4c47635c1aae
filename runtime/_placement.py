"""Inputs and outputs of a call, in the host's memory or a GPU's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from runtime._arguments import as_floats, as_images, describe
from runtime._conditions import as_rows
from runtime.device_array import View, empty, open_view
from runtime.errors import ArgumentError


@dataclass(frozen=True)
class Input:
    """Input rows: `native` is what C++ takes; `owner` keeps a GPU's memory alive."""

    native: Any
    rows: int
    owner: Any = None

    row_bytes: int = 0

    @property
    def on_device(self) -> bool:
        """True if the rows are in a GPU's memory."""
        return isinstance(self.native, tuple)

    @property
    def span(self) -> tuple[int, int]:
        """Addresses of the first byte of the rows and of the byte after the last one."""
        begin = self.native[0] if self.on_device else self.native.__array_interface__["data"][0]
        return begin, begin + self.rows * self.row_bytes


def image_input(name: str, value: Any, shape: tuple[int, int, int]) -> Input:
    """Check images uint8 [n, *shape], of the host or a GPU. Raises ArgumentError."""
    view = open_view(name, value)
    if view is None:
        array = as_images(name, value, shape)
        return Input(array, len(array), row_bytes=math.prod(shape))
    view.check(name, ("|u1",), (None, *shape))
    rows = view.shape[0]
    return Input((view.address, rows), rows, view.owner, math.prod(shape))


def latent_input(name: str, value: Any, width: int, n: int | None = None) -> Input:
    """Check latents float32 [n, width], of the host or a GPU; with n, [width] on the host too.

    Raises ArgumentError.
    """
    view = open_view(name, value)
    if view is not None:
        if len(view.shape) == 1 and n is not None:
            raise ArgumentError(f"{name}: one row for all is expected in the host's memory")
        view.check(name, ("<f4",), (n, width))
        return Input((view.address, view.shape[0]), view.shape[0], view.owner, 4 * width)
    array = as_floats(name, value, (None, width)) if n is None else as_rows(name, value, n, width)
    return Input(array, len(array), row_bytes=4 * width)


def check_on_host(name: str, value: Any) -> None:
    """Raise ArgumentError for an array in a GPU's memory."""
    if open_view(name, value) is not None:
        raise ArgumentError(f"{name}: expected an array in the host's memory")


@dataclass(frozen=True)
class Output:
    """Destination of results: `native` is what C++ takes (None: a new array), or `array`."""

    native: tuple[int, bool] | NDArray[Any] | None
    array: Any = None
    owner: Any = None

    def result(self, new: Any) -> Any:
        """Return the results: `new`, the return value of C++, unless they are in `array`."""
        return new if self.native is None else self.array


def place_output(
    out: Any, device: str, shape: Sequence[int], dtype: DTypeLike, *inputs: Input | None
) -> Output:
    """Return the destination of results of this shape for an `out` as in `Generator.sample`.

    Raises ArgumentError, also for memory shared with the inputs, whose later rows are read after
    the first results are written; OutOfMemoryError.
    """
    if isinstance(out, str):
        if out == "numpy":
            return Output(None)
        if out != "device":
            raise ArgumentError(f"out: expected 'numpy', 'device' or an array, got {describe(out)}")
        if device == "cpu":
            raise ArgumentError("out: the engine runs on the CPU, expected 'numpy' or an array")
        new = empty(shape, dtype, int(device.removeprefix("cuda:")))
        return Output((new.address, True), new)
    kind, on_device = np.dtype(dtype), not isinstance(out, np.ndarray)
    # The usual case, which the checks below would take as long as several layers of a network.
    if type(out) is np.ndarray and not any(inputs) and _is_plain(out, shape, kind):
        return Output(out, out)
    view = open_view("out", out) if on_device else _view_of_numpy(out)
    if view is None:
        raise ArgumentError(
            f"out: expected 'numpy', 'device' or an array of NumPy or a GPU, got {type(out)}"
        )
    view.check("out", (kind.str,), tuple(shape)).check_writable("out")
    end = view.address + math.prod(shape) * kind.itemsize
    for source in inputs:
        if source is None or source.on_device != on_device:
            continue
        if view.address < source.span[1] and source.span[0] < end:
            raise ArgumentError("out: expected an array that shares no memory with the inputs")
    return Output((view.address, on_device), out, view.owner)


def _is_plain(out: NDArray[Any], shape: Sequence[int], kind: np.dtype[Any]) -> bool:
    """Return True for an array of this shape and type, dense, aligned and writable."""
    return out.dtype == kind and out.shape == shape and bool(out.flags.carray) and out.size > 0


def _view_of_numpy(out: NDArray[Any]) -> View:
    if isinstance(out, np.ma.MaskedArray):
        raise ArgumentError("out: expected an array without a mask")
    address = out.__array_interface__["data"][0]
    flags = out.flags
    return View(address, out.shape, out.dtype.str, flags.c_contiguous, not flags.writeable, out)
