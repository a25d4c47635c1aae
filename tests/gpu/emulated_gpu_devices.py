"""Which device is current, whose memory operands are in, and drivers that are too old.

On emulated CUDA devices; `test_emulated_gpu.py` runs these tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import runtime
from host_cuda import HostCuda
from repository import TESTS
from runtime.errors import ArgumentError

pytest_plugins = ["emulation"]


class Typed:
    """Memory of another array, or of the host, as one of another type and shape."""

    def __init__(self, array: Any, kind: str, shape: tuple[int, ...]) -> None:
        address = array.address if isinstance(array, runtime.DeviceArray) else array.ctypes.data
        self.array = array
        entries = {"shape": shape, "typestr": kind, "data": (address, False), "version": 3}
        self.__cuda_array_interface__ = entries


def floats(index: int, *shape: int) -> runtime.DeviceArray:
    return runtime.to_device(np.zeros(shape, np.float32), index)


def key(index: int) -> Typed:
    return Typed(runtime.to_device(np.zeros(16, np.uint8), index), "<i8", (2,))


def test_a_device_that_nobody_uses_is_left_alone() -> None:
    """The thread's device is given back without a context being made on it."""
    code = f"""
import os, sys
sys.path.insert(0, {str(TESTS / "support")!r})
from pathlib import Path
import numpy as np
from host_cuda import HostCuda
import runtime
device = HostCuda(Path(os.environ["ZOO_CUDA_LIBRARY"]))
array = runtime.to_device(np.ones((3, 4), np.float32), 1)
key = runtime.to_device(np.arange(16, dtype=np.uint8), 1)
array.numpy()
class Key:
    __cuda_array_interface__ = key.__cuda_array_interface__ | {{"typestr": "<i8", "shape": (2,)}}
runtime.cuda.reparametrized_sample(array, Key())
assert device.current_device() == 0
del array, key
assert device.current_device() == 0 and device.counter("contexts") == 1
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_operands_of_several_devices(device: HostCuda) -> None:
    """Of runtime.cuda: each is looked at, and one that is not where the others are is named."""
    cuda = runtime.cuda
    row, other = floats(0, 3, 8), floats(1, 3, 8)
    steps, elsewhere = floats(0, 5), floats(1, 5)
    out, levels = floats(0, 3, 5, 8), runtime.to_device(np.zeros((3, 2, 2, 1), np.uint8), 0)
    host = Typed(np.zeros((3, 8), np.float32), "<f4", (3, 8))
    for argument, call in (
        ("key", lambda: cuda.reparametrized_sample(row, key(1))),
        ("mu", lambda: cuda.reparametrized_sample(row, key(0), mu=other)),
        ("logvar", lambda: cuda.reparametrized_sample(row, key(0), row, other)),
        ("a", lambda: cuda.batched_interpolate(out, other, row, steps)),
        ("b", lambda: cuda.batched_interpolate(out, row, other, steps)),
        ("t", lambda: cuda.batched_interpolate(out, row, row, elsewhere)),
        ("images", lambda: cuda.image_levels(levels, floats(1, 3, 1, 2, 2))),
    ):
        expected = f"^{argument}: expected memory of cuda:0 as out, got memory of cuda:1$"
        with pytest.raises(ArgumentError, match=expected):
            call()
    for argument, call in (
        ("out", lambda: cuda.reparametrized_sample(host, key(0))),
        ("mu", lambda: cuda.reparametrized_sample(row, key(0), mu=host)),
        ("b", lambda: cuda.batched_interpolate(out, row, host, steps)),
        ("key", lambda: cuda.advance(Typed(np.zeros(2, np.int64), "<i8", (2,)), 1)),
    ):
        with pytest.raises(ArgumentError, match=f"^{argument}: expected memory of a GPU"):
            call()
    # Device 1 is as good as device 0, where the whole call is.
    cuda.reparametrized_sample(other, key(1), other, other)
    device.call("synchronize", 0)


def test_a_driver_that_is_older_than_cuda(device: HostCuda) -> None:
    code = (
        "import runtime\n"
        "try:\n    runtime.cuda.devices()\n"
        "except runtime.errors.DeviceUnavailableError as error:\n    print(error)"
    )
    for driver, expected in (("12020", "CUDA 12.2 and older"), ("12080", "CUDA 12.8 and older")):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"HOST_CUDA_DRIVER": driver},
            capture_output=True,
            text=True,
            check=True,
        )
        assert expected in done.stdout and "this build is of CUDA 13.0" in done.stdout
        assert "update the driver" in done.stdout
