"""Arrays of other packages in the memory of emulated CUDA devices, and checks of shared memory.

The devices' memory is the host's, so that PyTorch on a CPU can read an array passed by DLPack if
the capsule says that the array is on a CPU: this one field of the capsule is changed here.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import runtime
from emulated_plans import DEVICE_BYTES
from host_cuda import HostCuda

CPU, CUDA = 1, 2
NAMES = {"dltensor": 0, "dltensor_versioned": 32}
"""Offset of the DLTensor in the struct of each kind of capsule, in bytes."""
_get = ctypes.pythonapi.PyCapsule_GetPointer
_get.restype, _get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def device_of(capsule: Any) -> tuple[int, int]:
    """Return the kind and index of the device in an unversioned capsule."""
    start = _get(capsule, b"dltensor")
    kind, index = (ctypes.c_int32.from_address(start + offset).value for offset in (8, 12))
    return kind, index


def marked(capsule: Any, name: str, kind: int) -> Any:
    """Change the kind of device in a capsule, and return it."""
    start = _get(capsule, name.encode()) + NAMES[name]
    # void* data; int32 type, index
    ctypes.c_int32.from_address(start + 8).value = kind
    return capsule


class Interface:
    """An array on a device that has only `__cuda_array_interface__`."""

    def __init__(self, device: HostCuda, values: NDArray[Any], stream: int | None = None) -> None:
        self.device = device
        self.address = device.allocate(values.nbytes)
        self.host = device.array(self.address, values.shape, values.dtype)
        self.host[:] = values
        self.entries: dict[str, Any] = {
            "shape": values.shape,
            "typestr": values.dtype.str,
            "data": (self.address, False),
            "strides": None,
            "version": 3,
            "stream": stream,
        }

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return self.entries

    def release(self) -> None:
        """Release the memory."""
        self.device.call("release", self.address)


class Capsule:
    """A PyTorch tensor in a device's memory that has only DLPack, and says that it is on CUDA."""

    def __init__(
        self, tensor: torch.Tensor, version: str = "dltensor", read_only: bool = False
    ) -> None:
        self.tensor, self.version, self.read_only = tensor, version, read_only
        self.streams: list[Any] = []

    def __dlpack_device__(self) -> tuple[int, int]:
        return CUDA, 0

    def __dlpack__(self, stream: int | None = None, **more: Any) -> Any:
        if more and self.version == "dltensor":
            raise TypeError("__dlpack__() got an unexpected keyword argument 'max_version'")
        self.streams.append(stream)
        version = None if self.version == "dltensor" else (1, 0)
        capsule = marked(self.tensor.__dlpack__(max_version=version), self.version, CUDA)
        # Part of the address is the byte_offset, as some libraries have it.
        start = _get(capsule, self.version.encode()) + NAMES[self.version]
        ctypes.c_uint64.from_address(start).value -= 4
        ctypes.c_uint64.from_address(start + 40).value = 4
        if self.read_only:
            ctypes.c_uint64.from_address(start - 8).value |= 1
        return capsule


@contextmanager
def maker(device: HostCuda) -> Iterator[Callable[..., Interface]]:
    """Make arrays on the current device, at first device 0; they are released at the end."""
    device.set_device(0)
    result: list[Interface] = []

    def make(values: Any, stream: int | None = None) -> Interface:
        result.append(Interface(device, np.asarray(values), stream))
        return result[-1]

    yield make
    for array in result:
        array.release()


@contextmanager
def all_but(device: HostCuda, left: int) -> Iterator[None]:
    """Leave only so many bytes of the first device's memory free."""
    device.set_device(0)
    held = device.allocate(DEVICE_BYTES - device.counter("device_bytes") - left)
    try:
        yield
    finally:
        device.call("release", held)


def check_places(
    call: Callable[[Any], Any],
    device: HostCuda,
    put: Callable[..., Interface],
    label: str = "",
    most_up: int | None = None,
) -> NDArray[Any]:
    """Check that `call(out)` gives the same in the host's memory, a device's, and given arrays.

    Args:
        most_up: bytes that a call into the device's memory may copy up for each launch.

    Returns:
        What it gives.
    """
    expected: NDArray[Any] = call("numpy")
    device.reset()
    result = call("device")
    assert device.counter("copies_down") == 0, label
    if most_up is not None:
        assert device.counter("bytes_up") <= most_up * device.counter("launches"), label
    assert (result.shape, result.dtype, result.device) == (expected.shape, expected.dtype, "cuda:0")
    assert len(result) == len(expected) and result.nbytes == expected.nbytes
    np.testing.assert_array_equal(result.numpy(), expected, err_msg=label)
    there, host = put(np.zeros_like(expected)), np.zeros_like(expected)
    assert call(there) is there and call(host) is host
    np.testing.assert_array_equal(there.host, expected, err_msg=label)
    np.testing.assert_array_equal(host, expected, err_msg=label)
    return expected


def rows_for(engine: Any, n: int) -> tuple[NDArray[Any], dict[str, Any]]:
    """Return rows for an engine that is no generator, and its other arguments."""
    if isinstance(engine, runtime.Mapping):
        return runtime.noise.normals(1, 0, n, engine.latent_width), {}
    translates = isinstance(engine, runtime.Translator)
    shape = engine.input_shape if translates else engine.image_shape
    images = np.random.default_rng(0).integers(0, 256, (n, *shape), np.uint8)
    if translates and engine.attributes:
        return images, {"attributes": np.eye(n, len(engine.attributes), dtype=np.float32)}
    return images, {}
