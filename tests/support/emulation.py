"""Fixtures of the tests on emulated CUDA devices: the devices, a TensorRT, and plans.

csrc/tests/host_cuda.cc has the memory, streams, graphs and kernels; fake_tensorrt.py is a TensorRT
that runs the graphs of plans in ONNX Runtime. The code between the two is that of real GPUs.
`test_emulated_gpu.py` runs these tests, with ZOO_CUDA_LIBRARY set.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emulated_plans import BUCKETS, Plan
from export.plan import pipeline
from export.plan.pipeline import Checking
from fake_tensorrt import NAME, FakeTensorRT
from host_cuda import HostCuda
from runtime import plans
from shared_arrays import Interface, maker
from zoo.engines import WEIGHTS

# Building needs the real module, which must be loaded before the stand-in exists.
_ = pipeline.Options(target="tensorrt-rtx").tensorrt


@pytest.fixture(scope="session")
def device() -> HostCuda:
    return HostCuda(Path(os.environ["ZOO_CUDA_LIBRARY"]))


@pytest.fixture(scope="session")
def plan_paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {"folder": tmp_path_factory.mktemp("plans")}


@pytest.fixture
def tensorrt(device: HostCuda, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTensorRT]:
    """A TensorRT that knows the plans of shipped engines."""
    module = FakeTensorRT(device)
    monkeypatch.setitem(sys.modules, NAME, module)
    plans.load_tensorrt.cache_clear()
    device.reset()
    yield module
    gc.collect()
    plans.load_tensorrt.cache_clear()
    assert device.errors == []
    live = ("device_bytes", "pinned_bytes", "streams", "graphs")
    assert [device.counter(name) for name in live] == [0, 0, 0, 0], "not all is released"


@pytest.fixture
def plan(tensorrt: FakeTensorRT, plan_paths: dict[str, Path]) -> Plan:
    """Build the plan of a shipped engine, once, with the real TensorRT for RTX."""

    def build(name: str) -> Path:
        path = plan_paths["folder"] / name.replace(".onnx", ".plan")
        if name not in plan_paths:
            options = pipeline.Options(target="tensorrt-rtx", batch=BUCKETS)
            pipeline.export(WEIGHTS / name, path, options, checking=Checking(run=False))
            plan_paths[name] = path
        return path

    return build


@pytest.fixture
def put(device: HostCuda) -> Iterator[Callable[..., Interface]]:
    """Make arrays on the first device, released at the end of the test."""
    with maker(device) as make:
        yield make
