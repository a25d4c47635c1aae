"""Fixtures of the tests that run ONNX Runtime's CUDA provider on emulated devices.

csrc/tests/host_cuda.cc has the memory, streams, graphs and the kernels of our operators;
csrc/tests/host_onnxruntime.cc is the provider, which computes with the real ONNX Runtime on a CPU.
`test_emulated_gpu.py` sets the variables of the environment that name the two.
"""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray

import runtime
from host_cuda import HostCuda
from host_onnxruntime import HostOnnxRuntime
from zoo.engines import WEIGHTS

VAE = WEIGHTS / "vae.onnx"
FAILING = ("begin_capture", "end_capture")
"""Functions that tests make fail more often than they are called."""
LIVE = ("device_bytes", "pinned_bytes", "streams", "graphs")


@pytest.fixture(scope="session")
def devices() -> HostCuda:
    return HostCuda(Path(os.environ["ZOO_CUDA_LIBRARY"]))


@pytest.fixture(scope="session")
def provider() -> HostOnnxRuntime:
    return HostOnnxRuntime(Path(os.environ["ZOO_ONNXRUNTIME_LIBRARY"]))


@pytest.fixture(autouse=True)
def nothing_left(devices: HostCuda, provider: HostOnnxRuntime) -> Iterator[None]:
    """Check that each test releases what it allocated, and that no warning is unexpected."""
    devices.reset()
    provider.reset()
    for name in FAILING:
        devices.fail(name, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield
    gc.collect()
    assert [devices.counter(name) for name in LIVE] == [0, 0, 0, 0], "not all is released"
    assert provider.counter("sessions") == 0


@pytest.fixture(scope="session")
def expected() -> NDArray[Any]:
    """Images 0 to 59 of seed 8, from the CPU."""
    with runtime.Generator(VAE, backend="onnxruntime") as generator:
        return generator.sample(60, seed=8)
