"""Failures of ONNX Runtime's CUDA provider: missing libraries, errors, too little memory.

On emulated devices (`emulated_provider.py`); `test_emulated_gpu.py` runs this file.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import runtime
from host_cuda import HostCuda
from host_onnxruntime import HostOnnxRuntime
from runtime._library import native
from runtime.errors import (
    BackendUnavailableError,
    EngineFileError,
    ExecutionError,
    OutOfMemoryError,
)
from shared_arrays import all_but
from zoo.engines import WEIGHTS

pytest_plugins = ["emulated_provider"]

VAE = WEIGHTS / "vae.onnx"


@pytest.mark.parametrize("exhausted", ["our buffers", "ONNX Runtime's memory"])
def test_too_little_memory(
    devices: HostCuda, provider: HostOnnxRuntime, expected: NDArray[Any], exhausted: str
) -> None:
    """The largest size that fits is used, with one warning; the images are the same."""
    with runtime.Generator(VAE, device="cuda", instances=1) as generator:
        generator.sample(60)
        needed = generator.peak_device_bytes
    if exhausted == "our buffers":
        left = needed - 1
    else:
        left = 2 * needed
        provider.fail("run", 1, "bfc_arena.cc: Failed to allocate memory for requested buffer")
    with all_but(devices, left), runtime.Generator(VAE, device="cuda", instances=1) as generator:
        with pytest.warns(RuntimeWarning, match="fewer images at a time than 64") as caught:
            np.testing.assert_array_equal(generator.sample(60, seed=8), expected)
        assert len(caught) == 1
        np.testing.assert_array_equal(generator.sample(60, seed=8), expected)
    with (
        all_but(devices, 500),
        runtime.Generator(VAE, device="cuda", instances=1) as generator,
        pytest.warns(RuntimeWarning),
        pytest.raises(OutOfMemoryError, match="500 of .* bytes are free"),
    ):
        generator.sample(60)


@pytest.mark.parametrize(
    "call", ["copy", "allocate", "allocate_pinned", "run", "launch", "synchronize"]
)
def test_a_call_that_fails_can_be_repeated(
    devices: HostCuda, provider: HostOnnxRuntime, expected: NDArray[Any], call: str
) -> None:
    with runtime.Generator(VAE, device="cuda", instances=1) as generator:
        if call in ("launch", "synchronize"):
            generator.sample(1)
        if call == "run":
            provider.fail(call, 1, "CUDNN_STATUS_EXECUTION_FAILED: on request")
        else:
            devices.fail(call, 1, "cudaErrorUnknown: on request")
        with pytest.raises(ExecutionError, match="on request"):
            generator.sample(1)
        np.testing.assert_array_equal(generator.sample(3, seed=8), expected[:3])


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("graph", "This session cannot use the graph capture feature"),
        ("capture", "CUDA failure 900: operation not permitted when stream is capturing"),
        ("elide", "the output 'image' of the graph differs from that of a run without it"),
        ("begin_capture", "cudaErrorStreamCaptureUnsupported"),
        ("end_capture", "cudaErrorStreamCaptureInvalidated"),
    ],
)
def test_without_graphs(
    devices: HostCuda, provider: HostOnnxRuntime, expected: NDArray[Any], what: str, message: str
) -> None:
    """ONNX Runtime then executes each run, with one warning."""
    if what.endswith("_capture"):
        devices.fail(what, 100, message)
    else:
        provider.fail(what, 100, message)
    with runtime.Generator(VAE, device="cuda") as generator:
        with pytest.warns(RuntimeWarning, match=f"without CUDA graphs.*{message}") as caught:
            np.testing.assert_array_equal(generator.sample(60, seed=8), expected)
        assert len(caught) == 1
        devices.reset()
        latents = runtime.noise.normals(8, 0, 3, generator.latent_width)
        np.testing.assert_array_equal(generator.decode(latents), expected[:3])
        np.testing.assert_array_equal(generator.sample(3, seed=8), expected[:3])
        assert devices.counter("launches") == (what == "elide") * 2, "only for the comparison"
    assert provider.option("enable_cuda_graph") == ("0" if what == "graph" else "1")


def test_a_graph_of_one_size_only(
    devices: HostCuda, provider: HostOnnxRuntime, expected: NDArray[Any]
) -> None:
    """If shapes are computed, each size has a session in which they are constants."""
    provider.fail("graph", 1, "This session cannot use the graph capture feature")
    with runtime.Generator(VAE, device="cuda", instances=1) as generator:
        assert provider.option("enable_cuda_graph") == "0" and provider.counter("sessions") == 1
        np.testing.assert_array_equal(generator.sample(60, seed=8), expected)
        np.testing.assert_array_equal(generator.sample(1, seed=8), expected[:1])
        assert provider.option("enable_cuda_graph") == "1" and provider.counter("sessions") == 3
        devices.reset()
        generator.sample(60)
        assert devices.counter("launches") == 1
    # Otherwise too, so that no size disturbs the memory and kernels of another.
    with runtime.Generator(VAE, device="cuda", instances=1) as generator:
        for n in (60, 1, 60, 1):
            np.testing.assert_array_equal(generator.sample(n, seed=8), expected[:n])
        assert provider.counter("sessions") == 2


def test_engines_that_onnxruntime_does_not_load(provider: HostOnnxRuntime) -> None:
    provider.fail("session", 2, "This is an invalid model: on request")
    with pytest.raises(EngineFileError, match=r"cannot load '.*vae\.onnx'.*on request"):
        runtime.Generator(VAE, device="cuda")
    provider.fail("session", 1, "CUDA failure 2: out of memory")
    with pytest.raises(OutOfMemoryError, match="out of memory"):
        runtime.Generator(VAE, device="cuda")
    provider.fail("load", 1, "cudaGetDeviceCount() failed: on request")
    with pytest.raises(BackendUnavailableError, match="cannot load its CUDA.*on request.*cudnn"):
        runtime.Generator(VAE, device="cuda")


def test_libraries_of_nvidias_wheels_are_found(provider: HostOnnxRuntime, tmp_path: Path) -> None:
    """The loader does not search there; the library that ONNX Runtime misses is opened first."""
    name = "libzoo_stand_in.so.9"
    missing = f"{name}: cannot open shared object file: No such file or directory"
    folder = tmp_path / "nvidia" / "stand_in" / "lib"
    folder.mkdir(parents=True)
    native.add_search_folder(str(tmp_path))
    (folder / name).write_text("no library")
    provider.fail("load", 1, f"Failed to load library libonnxruntime_providers_cuda.so: {missing}")
    with pytest.raises(BackendUnavailableError, match=rf"{name}: cannot open.*-gpu\[cuda"):
        runtime.Generator(VAE, device="cuda")
    (folder / name).unlink()
    compiler = (os.environ.get("CXX") or "c++").split()
    empty = ["-shared", "-x", "c++", "/dev/null", f"-Wl,-soname,{name}", "-o", str(folder / name)]
    subprocess.run([*compiler, *empty], check=True)
    provider.fail("load", 1, f"Failed to load library libonnxruntime_providers_cuda.so: {missing}")
    runtime.Generator(VAE, device="cuda").close()
    ctypes.CDLL(name, mode=os.RTLD_NOLOAD)  # raises if it was not opened


def test_a_build_for_cpus(tmp_path: Path) -> None:
    """The wheel onnxruntime has no CUDA provider: the error names the one that has, which wins."""
    real = os.environ["HOST_ONNXRUNTIME"]
    code = f"import runtime; runtime.Generator({str(VAE)!r}, device='cuda')"

    def fail(**variables: str) -> str:
        environment = {**os.environ, "ZOO_ONNXRUNTIME_LIBRARY": "", **variables}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 1 and "BackendUnavailableError" in done.stderr
        assert "pip install onnxruntime-gpu" in done.stderr
        return done.stderr

    assert real in fail(ZOO_ONNXRUNTIME_LIBRARY=real)
    # Both wheels are installed, in the same folder.
    folder = tmp_path / "onnxruntime" / "capi"
    folder.mkdir(parents=True)
    (folder / "libonnxruntime.so.1.20.0").write_text("that of the other wheel")
    (folder / "libonnxruntime.so.9.8.7").symlink_to(real)
    (tmp_path / "onnxruntime_gpu-9.8.7.dist-info").mkdir()
    assert f"{folder}/libonnxruntime.so.9.8.7" in fail(PYTHONPATH=str(tmp_path))
