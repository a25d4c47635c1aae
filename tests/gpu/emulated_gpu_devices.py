"""Current device, operands on several devices, and old drivers.

On emulated CUDA devices; `test_emulated_gpu.py` runs these tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import runtime
from host_cuda import HostCuda
from repository import TESTS
from runtime.errors import ArgumentError
from shared_arrays import Interface

pytest_plugins = ["emulation"]


class Typed:
    """View of another array's memory, or of the host's, with another type and shape."""

    def __init__(self, array: Any, kind: str, shape: tuple[int, ...]) -> None:
        address = array.address if isinstance(array, runtime.DeviceArray) else array.ctypes.data
        self.array = array
        entries = {"shape": shape, "typestr": kind, "data": (address, False), "version": 3}
        self.__cuda_array_interface__ = entries


def floats(index: int, *shape: int) -> runtime.DeviceArray:
    return runtime.to_device(np.zeros(shape, np.float32), index)


def key(index: int) -> Typed:
    return Typed(runtime.to_device(np.zeros(16, np.uint8), index), "<i8", (2,))


def test_unused_devices_get_no_context() -> None:
    """The thread's device is restored without a context being made on it."""
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
    """runtime.cuda names the operand that is not on the device of the others."""
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
    # A call with all operands on device 1.
    cuda.reparametrized_sample(other, key(1), other, other)
    device.call("synchronize", 0)


@pytest.mark.parametrize("kind", ["<f4", "<f2", "<i2"])
def test_operators_agree_with_the_host(
    kind: str, put: Callable[..., Interface], device: HostCuda
) -> None:
    """They run on the caller's stream and round to the type of the output; <i2 holds bfloat16."""
    random = np.random.default_rng(0)
    mu, logvar = random.standard_normal((2, 3, 8), np.float32)
    t = np.float32([0, 0.25, 1])
    seed, first = 2**63 + 5, 2**40
    noise = put(np.array([seed, first - 7], np.uint64))
    out, path = put(np.zeros((3, 8), kind)), put(np.zeros((3, 3, 8), kind))
    levels, images = put(np.zeros((2, 2, 2, 3), np.uint8)), random.random((2, 3, 2, 2), np.float32)
    queue = device.make("make_stream")
    cuda = runtime.cuda
    cuda.advance(noise, 7, queue)
    cuda.reparametrized_sample(out, noise, put(mu), put(logvar), stream=3, queue=queue)
    cuda.batched_interpolate(path, put(mu), put(logvar), put(t), "spherical", queue)
    cuda.image_levels(levels, put(images), queue)
    assert not out.host.any() and not levels.host.any(), "the stream was not waited for"
    device.call("synchronize", queue)
    device.call("destroy_stream", queue)

    def rounded(values: NDArray[np.float32]) -> NDArray[Any]:
        if kind != "<i2":
            return values.astype(kind)
        return torch.from_numpy(values).bfloat16().view(torch.int16).numpy()

    sampled = runtime.ops.reparametrized_sample(mu, logvar, seed, first, stream=3)
    np.testing.assert_array_equal(out.host, rounded(sampled))
    expected = runtime.ops.batched_interpolate(mu, logvar, t, "spherical")
    np.testing.assert_array_equal(path.host, rounded(expected))
    byte = np.floor(images.transpose(0, 2, 3, 1) * np.float32(255) + np.float32(0.5))
    np.testing.assert_array_equal(levels.host, byte)


def test_a_driver_that_is_older_than_cuda(device: HostCuda) -> None:
    code = (
        "import runtime\n"
        "try:\n    runtime.cuda.devices()\n"
        "except runtime.errors.DeviceUnavailableError as error:\n    print(error)"
    )
    for driver, expected in (("12020", "CUDA up to 12.2"), ("12080", "CUDA up to 12.8")):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"HOST_CUDA_DRIVER": driver},
            capture_output=True,
            text=True,
            check=True,
        )
        assert expected in done.stdout and "this build needs CUDA 13.0" in done.stdout
        assert "update the driver" in done.stdout
