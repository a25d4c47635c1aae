"""Plans of shipped engines in the whole GPU runtime, on emulated CUDA devices.

See `emulation.py` for the emulated parts; `test_emulated_gpu.py` runs this file.
"""

from __future__ import annotations

import faulthandler
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import runtime
from emulated_plans import BUCKETS, Plan, same_images
from fake_tensorrt import FakeTensorRT
from host_cuda import HostCuda
from plan_cases import RUNS
from plan_runs import check_fork, check_requests, run_on_cpu, run_plan
from runtime import plans
from runtime.errors import (
    ArgumentError,
    BackendUnavailableError,
    DeviceUnavailableError,
    EngineFileError,
    ExecutionError,
    OutOfMemoryError,
)
from shared_arrays import all_but
from zoo.engines import WEIGHTS

pytest_plugins = ["emulation"]


@pytest.mark.parametrize("name", RUNS)
def test_plans_agree_with_engines(name: str, plan: Plan) -> None:
    expected, got = run_on_cpu(name), run_plan(name, plan(name))
    if expected.dtype == np.uint8:
        same_images(expected, got)
    else:
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_images_do_not_depend_on_the_request(plan: Plan) -> None:
    with runtime.Generator(plan("vae.onnx")) as generator:
        assert generator.instances == 2
        whole = generator.sample(60, seed=8, first=100)
        parts = [(0, 1, None), (3, 2, None), (59, 1, 1), (7, 40, 4), (0, 60, 5)]
        check_requests(generator, whole, parts, first=100)


@pytest.mark.parametrize("name", ["vae.onnx", "stylegan.onnx"])
def test_rows_of_any_seeds_share_a_run(name: str, plan: Plan, device: HostCuda) -> None:
    keys = [(7, 3), (7, 4), (2**64 - 1, 2**64 - 1), (0, 2**40), (7, 3), *((i, i) for i in range(7))]
    with runtime.Generator(plan(name), instances=1) as generator:
        generator.sample(16)
        device.reset()
        images = generator.sample(len(keys), keys=keys)
        assert device.counter("launches") == 1
        for image, (seed, first) in zip(images, keys, strict=True):
            np.testing.assert_array_equal(image, generator.sample(1, seed, first)[0])


def test_graphs_are_replayed(plan: Plan, tensorrt: FakeTensorRT, device: HostCuda) -> None:
    """TensorRT is called once outside and once inside a graph; a run copies only a key up."""
    with runtime.Generator(plan("vae.onnx"), instances=1) as generator:
        generator.sample(16)
        assert tensorrt.executions == 2 and device.counter("captures") == 1
        device.reset()
        generator.sample(16 * 5, seed=1)
        assert tensorrt.executions == 2 and device.counter("captures") == 0
        counts = {name: device.counter(name) for name in ("launches", "copies_up", "copies_down")}
        assert counts == {"launches": 5, "copies_up": 5, "copies_down": 5}
        assert device.counter("bytes_up") <= 5 * 256
        # Rows of 784 bytes, and alignment.
        assert 5 * 16 * 784 <= device.counter("bytes_down") <= 5 * (16 * 784 + 256)
        generator.sample(1)
        generator.decode(np.zeros((16, generator.latent_width)))
        assert device.counter("captures") == 2, "one graph per size, one for latents of the user"
        assert generator.peak_device_bytes == device.counter("device_bytes")


def test_too_little_memory(plan: Plan, device: HostCuda) -> None:
    """The largest size that fits is used, with one warning; the images are the same."""
    path = plan("vae.onnx")
    with runtime.Generator(path, instances=1) as generator:
        expected = generator.sample(40)
        needed = generator.peak_device_bytes
    with all_but(device, needed - 1), runtime.Generator(path, instances=1) as generator:
        with pytest.warns(RuntimeWarning, match="fewer images at a time than 16") as caught:
            same_images(expected, generator.sample(40))
        assert len(caught) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            same_images(expected, generator.sample(40))
    with (
        all_but(device, 2000),
        runtime.Generator(path) as generator,
        pytest.warns(RuntimeWarning),
        pytest.raises(OutOfMemoryError, match="2000 of .* bytes are free"),
    ):
        generator.sample(40)


def test_too_little_memory_for_tensorrt(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    context = plans.Engine.context

    def exhausted(self: plans.Engine, profile: int, rows: int, stream: int) -> plans.Context:
        if rows == max(BUCKETS):
            raise OutOfMemoryError("TensorRT: out of memory")
        return context(self, profile, rows, stream)

    monkeypatch.setattr(plans.Engine, "context", exhausted)
    with runtime.Generator(plan("vae.onnx"), instances=1) as generator:
        with pytest.warns(RuntimeWarning, match="fewer images at a time than 16: TensorRT: out"):
            images = generator.sample(20)
        np.testing.assert_array_equal(images[:1], generator.sample(1))


def test_exact_mode(
    plan: Plan, tensorrt: FakeTensorRT, device: HostCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All runs have the size `bucket`; without it, one image runs in the size 1."""
    path = plan("vae.onnx")
    size = BUCKETS[1]
    with runtime.Generator(path, bucket=size, instances=1) as generator:
        whole = generator.sample(35, seed=8)
        parts = [(0, 1, None), (3, 8, 1), (10, 1, 16), (0, 11, 2)]
        check_requests(generator, whole, parts)
        assert device.counter("captures") == 1, "no other size was prepared"
        needed = generator.peak_device_bytes
    with runtime.Generator(path, instances=1) as generator:
        generator.sample(1)
        generator.sample(11)
        assert device.counter("captures") == 3
    with pytest.raises(ArgumentError, match="bucket: expected one of .* 1, 4, 16, got 5"):
        runtime.Generator(path, bucket=5)
    with pytest.raises(ArgumentError, match="bucket: expected at least 1, got 0"):
        runtime.Generator(path, bucket=0)
    with pytest.raises(ArgumentError, match="bucket: expected none, because '.*' runs on the CPU"):
        runtime.Generator(WEIGHTS / "vae.onnx", bucket=4)
    with (
        all_but(device, needed - 1),
        runtime.Generator(path, bucket=size, instances=1) as generator,
        pytest.raises(OutOfMemoryError),
    ):
        generator.sample(1)


def test_devices(plan: Plan, device: HostCuda) -> None:
    path = plan("vae.onnx")
    with runtime.Generator(path) as first, runtime.Generator(path, device="cuda:1") as second:
        np.testing.assert_array_equal(first.sample(5), second.sample(5))
    with pytest.raises(DeviceUnavailableError, match=r"'cuda:2': there are 2 \(cuda:0 to cuda:1\)"):
        runtime.Generator(path, device="cuda:2")
    with pytest.raises(DeviceUnavailableError, match=r"use the \.onnx engine"):
        runtime.Generator(path, device="cpu")
    with pytest.raises(BackendUnavailableError, match="pip install onnxruntime-gpu"):
        runtime.Generator(WEIGHTS / "vae.onnx", device="cuda")
    with pytest.raises(ArgumentError, match="this plan is in fp32"):
        runtime.Generator(path, precision="bf16")
    device.fail("device_count", 1, "cudaErrorInsufficientDriver: the driver is too old")
    with pytest.raises(DeviceUnavailableError, match="the driver is too old|no NVIDIA driver"):
        runtime.Generator(path)


@pytest.mark.parametrize("call", ["launch", "synchronize", "copy", "end_capture", "begin_capture"])
def test_a_call_that_fails_can_be_repeated(plan: Plan, device: HostCuda, call: str) -> None:
    with runtime.Generator(plan("vae.onnx"), instances=1) as generator:
        if call in ("launch", "synchronize"):
            generator.sample(1)
        device.fail(call, 1, "cudaErrorUnknown: on request")
        with pytest.raises(ExecutionError, match="on request"):
            generator.sample(1)
        assert device.counter("queued") == 0, "no work on the caller's memory may remain"
        with runtime.Generator(WEIGHTS / "vae.onnx", backend="onnxruntime") as expected:
            same_images(expected.sample(3), generator.sample(3))


def test_plans_that_tensorrt_does_not_open(
    plan: Plan, tensorrt: FakeTensorRT, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plan("vae.onnx")
    find, tensorrt.find = tensorrt.find, lambda plan: None
    tensorrt.__version__ = "1.9.0"
    with pytest.raises(
        BackendUnavailableError, match=r"but 1\.9\.0 is installed; build it again: python -m"
    ):
        runtime.Generator(path)
    tensorrt.__version__ = runtime.manifest.read(path)["plan"]["tensorrt"]
    with pytest.raises(EngineFileError, match="unknown plan"):
        runtime.Generator(path)
    other = plan("overcomplete-ae.onnx").read_bytes()
    tensorrt.find = lambda plan: find(other)
    with pytest.raises(EngineFileError, match="'latent' is .* in its network, but .* manifest"):
        runtime.Generator(path)
    tensorrt.find = find
    runtime.Generator(path).close()
    for name in plans.MODULES["tensorrt-rtx"]:
        monkeypatch.setitem(sys.modules, name, None)
    plans.load_tensorrt.cache_clear()
    with pytest.raises(
        BackendUnavailableError, match=r"pip install 'generator-zoo\[tensorrt-rtx\]'"
    ):
        runtime.Generator(path)


def test_plans_with_code_for_the_host(
    plan: Plan, tensorrt: FakeTensorRT, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plan("vae.onnx")
    tensorrt.__version__ = runtime.manifest.read(path)["plan"]["tensorrt"]
    tensorrt.host_code = True
    with pytest.raises(EngineFileError, match="host code, which is not allowed"):
        runtime.Generator(path)
    monkeypatch.setenv(plans.HOST_CODE, "1")
    plans.load_tensorrt.cache_clear()
    runtime.Generator(path).close()


def test_streams_are_opened_without_the_gil(plan: Plan, monkeypatch: Any) -> None:
    """Another thread prepares a size while it holds C++'s lock, for which it needs the GIL."""
    context, preparing = plans.Engine.context, threading.Event()

    def slow(self: plans.Engine, *arguments: int) -> plans.Context:
        preparing.set()
        time.sleep(0.1)  # releases the GIL, like TensorRT's bindings
        return context(self, *arguments)

    monkeypatch.setattr(plans.Engine, "context", slow)
    faulthandler.dump_traceback_later(60, exit=True)
    with runtime.Generator(plan("vae.onnx")) as generator, ThreadPoolExecutor(1) as pool:
        small = pool.submit(generator.sample, 1)
        preparing.wait()
        with generator.stream(100, batch=max(BUCKETS)) as stream:
            part = next(stream)
        same_images(small.result(), part[:1])
    faulthandler.cancel_dump_traceback_later()


def test_no_size_is_prepared_while_another_runs(plan: Plan, monkeypatch: Any) -> None:
    """Its work would be captured into the graph of the instance's stream."""
    context, enqueue = plans.Engine.context, plans.Context.enqueue
    running, overlaps = threading.Event(), []

    def watch(self: plans.Engine, *arguments: int) -> plans.Context:
        overlaps.append(running.is_set())
        return context(self, *arguments)

    def slow(self: plans.Context, stream: int) -> None:
        running.set()
        time.sleep(0.1)
        enqueue(self, stream)
        running.clear()

    with runtime.Generator(plan("vae.onnx"), instances=1) as generator:
        monkeypatch.setattr(plans.Engine, "context", watch)
        monkeypatch.setattr(plans.Context, "enqueue", slow)
        with ThreadPoolExecutor(1) as pool:
            small = pool.submit(generator.sample, 1)
            running.wait()
            generator.sample(max(BUCKETS))
            small.result()
    assert overlaps == [False, False]


def test_a_forked_child_gets_an_error(plan: Plan) -> None:
    with runtime.Generator(plan("vae.onnx")) as generator:
        generator.sample(1)
        check_fork(lambda: generator.sample(1))
