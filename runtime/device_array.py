"""Arrays in a GPU's memory: those of the runtime, and views of those of other packages.

PyTorch, CuPy, JAX, Numba and PyCUDA read and write the same memory, without a copy, by DLPack
(https://dmlc.github.io/dlpack) or by `__cuda_array_interface__`
(https://numba.readthedocs.io/en/stable/cuda/cuda_array_interface.html).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from runtime._arguments import UINT64_MAX, allocate, as_array, as_dense, as_integer, one_line
from runtime._library import native
from runtime.errors import ArgumentError, DeviceUnavailableError, Error

_MAX_BYTES = 2**62

CUDA = (2, 13)
"""DLPack's device types whose memory is accepted: kDLCUDA and kDLCUDAManaged."""


class DeviceArray:
    """An array in the memory of one GPU, float32 or uint8, row-major, with no work pending.

    Returned by `Generator.sample(out="device")` and `to_device`. Pass it to `torch.from_dlpack`,
    `cupy.from_dlpack`, `numba.cuda.as_cuda_array` or PyCUDA, which share its memory for as long as
    they need it; `numpy()` copies it to the host.
    """

    def __init__(self, block: Any, shape: Sequence[int], dtype: DTypeLike) -> None:
        self._block = block
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)

    @property
    def device(self) -> str:
        """The GPU: "cuda:N"."""
        return f"cuda:{self._block.device}"

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def address(self) -> int:
        """Address of the first byte in the GPU's memory."""
        address: int = self._block.address
        return address

    def numpy(self) -> NDArray[Any]:
        """Return a copy in the host's memory."""
        copy = allocate("array", self.shape, self.dtype)
        self._block.to_host(copy)
        return copy

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Version 3; no stream, since no work is pending."""
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, False),
            "strides": None,
            "stream": None,
            "version": 3,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        """Type and index of the device."""
        return CUDA[0], self._block.device

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Return a capsule that shares the memory; `stream` is ignored, since no work is pending.

        Raises BufferError if a copy or another device is requested.
        """
        if dl_device is not None and tuple(dl_device) != self.__dlpack_device__():
            raise BufferError(f"the array is on {self.device}, not on the device {dl_device}")
        if copy:
            raise BufferError("the array is shared, not copied")
        versioned = max_version is not None and max_version[0] >= 1
        return self._block.dlpack(list(self.shape), self.dtype.kind == "f", versioned)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"DeviceArray({self.dtype.name}{list(self.shape)}, {self.device})"


def empty(shape: Sequence[int], dtype: DTypeLike, device: int = 0) -> DeviceArray:
    """Return a new, uninitialised array.

    Raises OutOfMemoryError, and what `runtime.cuda.devices` raises.
    """
    kind = _check_dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    if size > _MAX_BYTES:
        raise ArgumentError(f"shape: {list(shape)} does not fit in memory")
    return DeviceArray(native.DeviceBlock(_check_device(device), size), shape, kind)


def to_device(array: Any, device: int = 0) -> DeviceArray:
    """Copy an array of the host, float32 or uint8, to a GPU's memory. Raises as `empty`."""
    values = as_array("array", array)
    kind = _check_dtype(values.dtype)
    values = as_dense("array", values, kind)
    return DeviceArray(native.to_device(values, _check_device(device)), values.shape, kind)


def _check_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    kind = np.dtype(dtype)
    if kind not in (np.float32, np.uint8):
        raise ArgumentError(f"array: expected float32 or uint8, got {kind}")
    return kind


def _check_device(device: int) -> int:
    """Return the index of a device. Raises DeviceUnavailableError if it does not exist."""
    index = as_integer("device", device, 0, 2**31 - 1)
    count = len(native.cuda_devices())
    if index >= count:
        raise DeviceUnavailableError(f"device {index}: there are {count}, from 0 on")
    return index


@dataclass(frozen=True)
class View:
    """View of an array in a GPU's memory; `owner` keeps the memory alive."""

    address: int
    shape: tuple[int, ...]
    kind: str
    dense: bool
    read_only: bool
    owner: Any
    stream: int = 0
    """CUDA stream that the owner works on; 0, the default stream, if it names none."""

    def check(self, name: str, kinds: Sequence[str], shape: Sequence[int | None]) -> View:
        """Return the view if it has one of these types, this shape (None: any size above 0), no
        gaps, and an aligned address. Raises ArgumentError."""
        if self.kind not in kinds:
            listed = ", ".join(kinds)
            types = f"one of the types {listed}" if len(kinds) > 1 else f"the type {listed}"
            raise ArgumentError(f"{name}: expected {types}, got {self.kind}")
        fits = len(self.shape) == len(shape) and all(
            size > 0 and expected in (None, size)
            for size, expected in zip(self.shape, shape, strict=True)
        )
        if not fits:
            sizes = ", ".join("any" if size is None else str(size) for size in shape)
            raise ArgumentError(f"{name}: expected shape ({sizes}), got {self.shape}")
        if not self.dense:
            raise ArgumentError(f"{name}: expected a contiguous array, got one with strides")
        if not self.address:
            raise ArgumentError(f"{name}: expected memory of a GPU, got a null pointer")
        if self.address % np.dtype(self.kind).itemsize:
            raise ArgumentError(f"{name}: expected an aligned array")
        return self

    def check_writable(self, name: str) -> View:
        """Return the view. Raises ArgumentError if it is read-only."""
        if self.read_only:
            raise ArgumentError(f"{name}: expected an array that can be written")
        return self


def read_interface(name: str, value: Any) -> View | None:
    """View an array by `__cuda_array_interface__`, without synchronising; None: it has none.

    Raises ArgumentError if the owner does not share the array, or the interface is invalid.
    """
    try:
        interface = getattr(value, "__cuda_array_interface__", None)
        return _view(interface, value) if isinstance(interface, dict) else None
    except Exception as error:  # of any package, such as a tensor that requires a gradient
        raise ArgumentError(f"{name}: {_describe_error(error)}") from error


def _view(interface: dict[str, Any], value: Any) -> View:
    if interface.get("mask") is not None:
        raise ValueError("expected an array without a mask")
    shape = tuple(operator.index(size) for size in interface["shape"])
    kind, strides = str(interface["typestr"]), interface.get("strides")
    packed = _packed_strides(shape, int(kind[2:]))
    # The stride of an axis of length 1 is never used.
    dense = strides is None or all(
        size == 1 or stride == expected
        for size, stride, expected in zip(shape, strides, packed, strict=True)
    )
    address, read_only = interface["data"]
    stream = interface.get("stream") or 0
    return View(operator.index(address), shape, kind, dense, bool(read_only), value, stream)


def _describe_error(error: Exception) -> str:
    """Return the message of another package's error, or its type if there is none."""
    return one_line(error) if str(error) else type(error).__name__


def open_view(name: str, value: Any) -> View | None:
    """View an array by either protocol, after its queued work; None for an array of the host.

    Raises ArgumentError if the owner does not share the array.
    """
    try:
        device = value.__dlpack_device__() if hasattr(value, "__dlpack__") else None
        place = None if device is None else [operator.index(part) for part in device]
    except Exception:
        # An array spread over several devices, for example; the other protocol may work.
        place = None
    if place is not None and len(place) == 2:
        return _borrow_dlpack(name, value, place[1]) if place[0] in CUDA else None
    view = read_interface(name, value)
    if view is not None and view.address:
        stream = as_integer(f"{name}: stream", view.stream, 0, UINT64_MAX)
        index = native.cuda_device_of(view.address)
        if index < 0:
            raise ArgumentError(f"{name}: expected memory of a GPU, got memory of the host")
        native.cuda_synchronize(index, stream)
    return view


def _borrow_dlpack(name: str, value: Any, index: int) -> View:
    try:
        # PyTorch only exports arrays of the current device, and uses that device's stream.
        with native.CurrentDevice(index):
            # The owner makes the default stream wait for the queued work.
            try:
                capsule = value.__dlpack__(stream=1, max_version=(1, 0))
            except TypeError:
                capsule = value.__dlpack__(stream=1)
        borrowed = native.BorrowedArray(capsule)
    except Exception as error:
        if isinstance(error, Error) and not isinstance(error, ArgumentError):
            raise
        raise ArgumentError(f"{name}: {_describe_error(error)}") from error
    native.cuda_synchronize(index, 0)
    shape = tuple(borrowed.shape)
    return View(
        borrowed.address, shape, borrowed.type, borrowed.dense, borrowed.read_only, borrowed
    )


def _packed_strides(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    return tuple(size * math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
