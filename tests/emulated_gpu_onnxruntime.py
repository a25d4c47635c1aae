"""Every shipped .onnx engine through ONNX Runtime's CUDA provider, on emulated CUDA devices.

Memory, streams, graphs and the kernels of our operators are those of csrc/tests/host_cuda.cc; the
provider is csrc/tests/host_onnxruntime.cc, which computes with the real ONNX Runtime on the CPU.
`test_emulated_gpu.py` runs this file, with the variables of the environment that name the two.
"""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from host_cuda import HostCuda
from host_onnxruntime import HostOnnxRuntime
from numpy.typing import NDArray
from plan_cases import ENGINES
from plan_runs import by_itself, by_onnxruntime
from small_engines import Graph, manifest

import runtime
from export.manifest import NOISE
from onnx import TensorProto
from runtime._library import native
from runtime.errors import (
    ArgumentError,
    BackendUnavailableError,
    DeviceUnavailableError,
    EngineFileError,
    ExecutionError,
    OutOfMemoryError,
)
from zoo.engines import WEIGHTS

DEVICE_BYTES = 2**30
VAE = WEIGHTS / "vae.onnx"
LIVE = ("device_bytes", "pinned_bytes", "streams", "graphs")


@pytest.fixture(scope="session")
def devices() -> HostCuda:
    return HostCuda(Path(os.environ["ZOO_CUDA_LIBRARY"]))


@pytest.fixture(scope="session")
def provider() -> HostOnnxRuntime:
    return HostOnnxRuntime(Path(os.environ["ZOO_ONNXRUNTIME_LIBRARY"]))


@pytest.fixture(autouse=True)
def nothing_left(devices: HostCuda, provider: HostOnnxRuntime) -> Iterator[None]:
    """Each test gives back what it took of the devices, and is told of no warning by surprise."""
    devices.reset()
    provider.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield
    gc.collect()
    assert [devices.counter(name) for name in LIVE] == [0, 0, 0, 0], "something is left"
    assert provider.counter("sessions") == 0


@pytest.fixture(scope="session")
def expected() -> NDArray[Any]:
    """Images 0 to 59 of seed 8, by the CPU."""
    with runtime.Generator(VAE, backend="onnxruntime") as generator:
        images: NDArray[Any] = generator.sample(60, seed=8)
    return images


@pytest.mark.parametrize("name", ENGINES)
def test_engines_answer_on_the_device_as_on_the_cpu(name: str, devices: HostCuda) -> None:
    """Bit for bit: the same kernels, and the noise drawn in the graph by ours."""
    np.testing.assert_array_equal(by_onnxruntime(name), by_itself(name))
    assert devices.counter("launches") > 0, "no graph was replayed"
    draws = "ReparametrizedSample".encode() in (WEIGHTS / name).read_bytes()
    assert (devices.counter("samples") > 0) == draws


def test_images_do_not_depend_on_the_request(expected: NDArray[Any]) -> None:
    with runtime.Generator(VAE, device="cuda:0") as generator:
        assert generator.instances == 2
        for first, n, batch in ((0, 60, None), (3, 2, None), (59, 1, 1), (7, 40, 20), (0, 60, 5)):
            part = generator.sample(n, seed=8, first=first, batch=batch)
            np.testing.assert_array_equal(part, expected[first : first + n])
        with generator.stream(60, seed=8, batch=7) as blocks:
            np.testing.assert_array_equal(np.concatenate(list(blocks)), expected)
        with generator.stream(10**12, seed=8) as blocks:
            np.testing.assert_array_equal(next(blocks)[:60], expected)
        with ThreadPoolExecutor(6) as pool:
            parts = pool.map(lambda i: generator.sample(9 + i, seed=8, first=i), range(24))
            for i, part in enumerate(parts):
                np.testing.assert_array_equal(part, expected[i : 2 * i + 9])


def test_runs_of_the_prior_and_of_latents_take_turns(expected: NDArray[Any]) -> None:
    """What stays in the device's memory from one run is what the next one needs, or is replaced."""
    with runtime.Generator(VAE, backend="onnxruntime") as cpu:
        latents = runtime.noise.normals(3, 0, 5, cpu.latent_width)
        posterior = {"mu": latents, "logvar": latents - 1}
        decoded, varied = cpu.decode(latents), cpu.sample(5, seed=4, **posterior)
    with runtime.Generator(VAE, device="cuda", instances=1) as generator:
        for _ in range(2):
            np.testing.assert_array_equal(generator.sample(5, seed=8), expected[:5])
            np.testing.assert_array_equal(generator.decode(latents), decoded)
            np.testing.assert_array_equal(generator.sample(5, seed=4, **posterior), varied)
            np.testing.assert_array_equal(generator.sample(5, seed=4, **posterior), varied)
            np.testing.assert_array_equal(generator.decode(latents), decoded)


def test_graphs_are_replayed(devices: HostCuda, provider: HostOnnxRuntime) -> None:
    """ONNX Runtime is called while a size is prepared; then each run copies up only a key."""
    with runtime.Generator(VAE, device="cuda", instances=1) as generator:
        generator.sample(16)
        # To find the memory, into the graph, and to compare with what the graph gives.
        assert provider.counter("enqueued") == 3 and devices.counter("captures") == 1
        devices.reset()
        provider.reset()
        for seed in range(5):
            generator.sample(16, seed=seed)
        assert provider.counter("enqueued") == 0 and devices.counter("captures") == 0
        assert provider.counter("runs") == 5 == provider.counter("operators")
        counts = {name: devices.counter(name) for name in ("launches", "copies_up", "copies_down")}
        assert counts == {"launches": 5, "copies_up": 5, "copies_down": 5}
        assert devices.counter("bytes_up") <= 5 * 256
        # Rows of 784 bytes, and what aligns the memory.
        assert 5 * 16 * 784 <= devices.counter("bytes_down") <= 5 * (16 * 784 + 256)
        generator.decode(np.zeros((16, generator.latent_width)))
        assert devices.counter("captures") == 0, "one graph for latents from anywhere"
        # Key, mu and logvar of 32 values, and images.
        assert generator.peak_device_bytes == 256 + 16 * (2 * 32 * 4 + 784)


@pytest.mark.parametrize(("name", "rows"), [("vae.onnx", 1), ("gan.onnx", 16)])
def test_sizes_of_a_run(devices: HostCuda, name: str, rows: int) -> None:
    """The least that holds the request, and never fewer rows than the engine file allows."""
    with runtime.Generator(WEIGHTS / name, device="cuda", instances=1) as generator:
        for n, batch, size in ((1, None, rows), (17, None, 64), (65, None, 256), (200, 63, 16)):
            generator.sample(n, batch=batch)
            devices.reset()
            generator.sample(n, batch=batch)
            runs = devices.counter("launches")
            assert runs == -(-n // size)
            assert devices.counter("bytes_down") // runs // 784 == size


@contextmanager
def all_but(device: HostCuda, left: int) -> Iterator[None]:
    """Somebody else holds the first device's memory, but for so many bytes."""
    device.call("set_device", ctypes.c_int(0))
    held = device.allocate(DEVICE_BYTES - device.counter("device_bytes") - left)
    try:
        yield
    finally:
        device.call("release", held)


def test_too_little_memory(devices: HostCuda, expected: NDArray[Any]) -> None:
    """The largest size that fits is used, and one line says so; the images are the same."""
    with runtime.Generator(VAE, device="cuda", instances=1) as generator:
        loaded = devices.counter("device_bytes")
        generator.sample(60)
        needed = devices.counter("device_bytes")
        assert needed > loaded + generator.peak_device_bytes, "no working memory is emulated"
    # Of our buffers, or of the working memory that ONNX Runtime asks for.
    for left in (loaded + generator_bytes(64) - 1, needed - 1):
        with (
            all_but(devices, left),
            runtime.Generator(VAE, device="cuda", instances=1) as generator,
        ):
            with pytest.warns(RuntimeWarning, match="fewer images at a time than 64") as said:
                np.testing.assert_array_equal(generator.sample(60, seed=8), expected)
            assert len(said) == 1
            np.testing.assert_array_equal(generator.sample(60, seed=8), expected)
    with (
        all_but(devices, loaded + 500),
        runtime.Generator(VAE, device="cuda", instances=1) as generator,
        pytest.warns(RuntimeWarning),
        pytest.raises(OutOfMemoryError, match="500 of .* bytes are free"),
    ):
        generator.sample(60)
    with all_but(devices, 500), pytest.raises(OutOfMemoryError, match="Failed to allocate memory"):
        runtime.Generator(VAE, device="cuda")


def generator_bytes(rows: int) -> int:
    """Of our buffers for the VAE: the key, mu and logvar, images."""
    return 256 + rows * (2 * 32 * 4 + 784)


def test_devices(devices: HostCuda, expected: NDArray[Any]) -> None:
    with (
        runtime.Generator(VAE, device="cuda") as first,
        runtime.Generator(VAE, device="cuda:1") as second,
    ):
        for generator in (first, second, first):
            np.testing.assert_array_equal(generator.sample(20, seed=8), expected[:20])
    with pytest.raises(DeviceUnavailableError, match=r"'cuda:2': there are 2 \(cuda:0 to cuda:1\)"):
        runtime.Generator(VAE, device="cuda:2")
    with pytest.raises(ArgumentError, match="runs in onnxruntime on a GPU, .* got 'openvino'"):
        runtime.Generator(VAE, device="cuda", backend="openvino")
    with pytest.raises(BackendUnavailableError, match="not bf16: make a plan of it"):
        runtime.Generator(VAE, device="cuda", precision="bf16")
    with pytest.raises(ArgumentError, match="precision: expected"):
        runtime.Generator(VAE, device="cuda", precision="fp7")
    with pytest.raises(ArgumentError, match="precision: expected"):
        runtime.Generator(VAE, device="cpu", precision="tf32")
    devices.fail("device_count", 1, "cudaErrorInsufficientDriver: the driver is too old")
    with pytest.raises(DeviceUnavailableError, match="(the driver is too old|no NVIDIA driver).*cpu"):
        runtime.Generator(VAE, device="cuda:0")


def test_options_of_the_provider(provider: HostOnnxRuntime) -> None:
    runtime.Generator(VAE, device="cuda:1").close()
    given = {name: provider.option(name) for name in ("device_id", "use_tf32", "prefer_nhwc")}
    assert given == {"device_id": "1", "use_tf32": "0", "prefer_nhwc": "1"}
    assert provider.option("enable_cuda_graph") == "1"
    assert provider.option("cudnn_conv_algo_search") == "HEURISTIC"
    runtime.Generator(VAE, device="cuda", precision="tf32").close()
    assert provider.option("use_tf32") == "1"


@pytest.mark.parametrize("call", ["launch", "synchronize"])
def test_a_failure_is_told_and_the_engine_lives_on(
    devices: HostCuda, expected: NDArray[Any], call: str
) -> None:
    with runtime.Generator(VAE, device="cuda", instances=1) as generator:
        generator.sample(1)
        devices.fail(call, 1, "cudaErrorUnknown: told to")
        with pytest.raises(ExecutionError, match="told to"):
            generator.sample(1)
        np.testing.assert_array_equal(generator.sample(3, seed=8), expected[:3])


@pytest.mark.parametrize("call", ["copy", "allocate", "allocate_pinned", "run"])
def test_a_size_that_fails_can_be_asked_for_again(
    devices: HostCuda, provider: HostOnnxRuntime, expected: NDArray[Any], call: str
) -> None:
    with runtime.Generator(VAE, device="cuda") as generator:
        if call == "run":
            provider.fail(call, 1, "CUDNN_STATUS_EXECUTION_FAILED: told to")
        else:
            devices.fail(call, 1, "cudaErrorUnknown: told to")
        with pytest.raises(ExecutionError, match="told to"):
            generator.sample(1)
        np.testing.assert_array_equal(generator.sample(3, seed=8), expected[:3])


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("graph", "This session cannot use the graph capture feature"),
        ("capture", "CUDA failure 900: operation not permitted when stream is capturing"),
        ("elide", "what the graph gives for 'image' is not what the same run gives without it"),
        ("begin_capture", "cudaErrorStreamCaptureUnsupported"),
        ("end_capture", "cudaErrorStreamCaptureInvalidated"),
    ],
)
def test_without_graphs(
    devices: HostCuda, provider: HostOnnxRuntime, expected: NDArray[Any], what: str, message: str
) -> None:
    """Runs that are no CUDA graph are done by ONNX Runtime each time, with one warning."""
    if what.endswith("_capture"):
        devices.fail(what, 100, message)
    else:
        provider.fail(what, 100, message)
    with runtime.Generator(VAE, device="cuda") as generator:
        with pytest.warns(RuntimeWarning, match=f"without CUDA graphs.*{message}") as said:
            np.testing.assert_array_equal(generator.sample(60, seed=8), expected)
        assert len(said) == 1
        devices.reset()
        latents = runtime.noise.normals(8, 0, 3, generator.latent_width)
        np.testing.assert_array_equal(generator.decode(latents), expected[:3])
        np.testing.assert_array_equal(generator.sample(3, seed=8), expected[:3])
        assert devices.counter("launches") == (what == "elide") * 2, "but for the comparison"
    assert provider.option("enable_cuda_graph") == ("0" if what == "graph" else "1")
    if what.endswith("_capture"):
        devices.fail(what, 0)
    else:
        provider.fail(what, 0, "")


def test_engines_that_onnxruntime_does_not_load(provider: HostOnnxRuntime) -> None:
    provider.fail("session", 2, "This is an invalid model. told to")
    with pytest.raises(EngineFileError, match=r"cannot load '.*vae\.onnx'.*told to"):
        runtime.Generator(VAE, device="cuda")
    provider.fail("session", 1, "CUDA failure 2: out of memory")
    with pytest.raises(OutOfMemoryError, match="out of memory"):
        runtime.Generator(VAE, device="cuda")
    provider.fail("load", 1, "cudaGetDeviceCount() failed: told to")
    with pytest.raises(BackendUnavailableError, match="cannot load its CUDA provider.*told to.*cudn"):
        runtime.Generator(VAE, device="cuda")


def test_libraries_of_nvidias_wheels_are_found(
    provider: HostOnnxRuntime, expected: NDArray[Any], tmp_path: Path
) -> None:
    """The loader does not look into them; what ONNX Runtime says is missing is opened from there."""
    name = "libzoo_stand_in.so.9"
    provider.need(name)
    with pytest.raises(BackendUnavailableError, match=rf"{name}: cannot open.*onnxruntime-gpu\[cuda"):
        runtime.Generator(VAE, device="cuda")
    folder = tmp_path / "nvidia" / "stand_in" / "lib"
    folder.mkdir(parents=True)
    native.add_search_folder(str(tmp_path))
    (folder / name).write_text("no library")
    with pytest.raises(BackendUnavailableError, match=f"{name}: cannot open"):
        runtime.Generator(VAE, device="cuda")
    (folder / name).unlink()
    compiler = (os.environ.get("CXX") or "c++").split()
    empty = ["-shared", "-x", "c++", "/dev/null", f"-Wl,-soname,{name}", "-o", str(folder / name)]
    subprocess.run([*compiler, *empty], check=True)
    with runtime.Generator(VAE, device="cuda") as generator:
        np.testing.assert_array_equal(generator.sample(3, seed=8), expected[:3])
    provider.need("")


def test_interpolation_in_a_graph(tmp_path: Path) -> None:
    """No engine that is shipped has the other operator."""
    width = 12
    graph = Graph(7)
    operands = ["mu", "logvar", "seed", "first"]
    graph.add("ReparametrizedSample", operands, "h", domain="zoo", stream=0)
    graph.add("Neg", ["h"], "opposite")
    graph.constant("t", np.float32([0.25]))
    graph.add("BatchedInterpolate", ["h", "opposite", "t"], "steps", domain="zoo", mode="linear")
    graph.constant("shape", np.int64([-1, 3, 2, 2]))
    graph.add("Reshape", ["steps", "shape"], "square")
    graph.add("Sigmoid", ["square"], "bright")
    graph.levels_of("bright", "image", (0, 2, 3, 1))
    noise = {**NOISE, "streams": {"latent": 0}}
    latent = {"width": width, "prior": "normal"}
    rows = {name: (TensorProto.FLOAT, ["n", width]) for name in ("mu", "logvar")}
    keys = {name: (TensorProto.INT64, [1]) for name in ("seed", "first")}
    path = tmp_path / "between.onnx"
    document = manifest("generator", (2, 2, 3), latent=latent, noise=noise)
    image = {"image": (TensorProto.UINT8, ["n", 2, 2, 3])}
    graph.save(path, document, rows | keys, image, "zoo")
    with runtime.Generator(path, device="cuda") as generator:
        images = generator.sample(40, seed=5, first=3)
    # a + (b - a) / 4 of h and -h is h / 2.
    half = runtime.noise.normals(5, 3, 40, width).astype(np.float64) / 2
    levels = np.round(255 / (1 + np.exp(-half))).reshape(-1, 3, 2, 2).transpose(0, 2, 3, 1)
    assert np.abs(images.astype(int) - levels).max() <= 1


def test_a_build_for_cpus(tmp_path: Path) -> None:
    """The wheel onnxruntime has no such provider: the one that has it is named."""
    code = f"import runtime; runtime.Generator({str(VAE)!r}, device='cuda')"
    variables = {**os.environ, "ZOO_ONNXRUNTIME_LIBRARY": os.environ["HOST_ONNXRUNTIME"]}
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "BackendUnavailableError" in done.stderr
    assert "pip install onnxruntime-gpu" in done.stderr


def test_the_commands(tmp_path: Path) -> None:
    """`zoo.sample` says what it ran on; its images are those of the CPU."""
    said = {}
    for device in ("cpu", "cuda:1"):
        command = ["--engine", "vae.onnx", "--backend", "onnxruntime", "-n", "5", "-v"]
        out = tmp_path / f"{device}.npy"
        done = subprocess.run(
            [sys.executable, "-m", "zoo.sample", *command, "--device", device, "--out", out],
            capture_output=True,
            text=True,
            check=True,
        )
        said[device] = done.stdout + done.stderr
    assert "onnxruntime, 2 instances" in said["cuda:1"]
    assert "MiB of the GPU's memory" in said["cuda:1"] and "GPU" not in said["cpu"]
    images = [np.load(tmp_path / f"{device}.npy") for device in said]
    np.testing.assert_array_equal(*images)


def test_a_forked_child_is_told() -> None:
    with runtime.Generator(VAE, device="cuda") as generator:
        generator.sample(1)
        child = os.fork()
        if child == 0:
            try:
                generator.sample(1)
            except DeviceUnavailableError as error:
                os._exit(7 if "spawn" in str(error) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
