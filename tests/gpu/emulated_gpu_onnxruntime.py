"""Every shipped .onnx engine through ONNX Runtime's CUDA provider, on emulated CUDA devices.

`emulated_provider.py` says what is emulated; `test_emulated_gpu.py` runs this file.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

import runtime
from export.manifest import NOISE
from host_cuda import HostCuda
from host_onnxruntime import HostOnnxRuntime
from plan_cases import CASES
from plan_runs import by_itself, by_onnxruntime
from runtime.errors import ArgumentError, BackendUnavailableError, DeviceUnavailableError
from small_engines import Graph, manifest
from zoo.engines import WEIGHTS

pytest_plugins = ["emulated_provider"]

VAE = WEIGHTS / "vae.onnx"


@pytest.mark.parametrize("name", CASES)
def test_engines_answer_on_the_device_as_on_the_cpu(name: str, devices: HostCuda) -> None:
    """Bit for bit: the same kernels, and the noise drawn in the graph by ours."""
    np.testing.assert_array_equal(by_onnxruntime(name), by_itself(name))
    assert devices.counter("launches") > 0, "no graph was replayed"
    draws = b"ReparametrizedSample" in (WEIGHTS / name).read_bytes()
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
        # To find the memory, twice, into the graph, and to compare with what the graph gives.
        assert provider.counter("enqueued") == 4 and devices.counter("captures") == 1
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
    with pytest.raises(DeviceUnavailableError, match="(too old|no NVIDIA driver).*cpu"):
        runtime.Generator(VAE, device="cuda:0")


def test_options_of_the_provider(provider: HostOnnxRuntime) -> None:
    runtime.Generator(VAE, device="cuda:1").close()
    given = {name: provider.option(name) for name in ("device_id", "use_tf32", "prefer_nhwc")}
    assert given == {"device_id": "1", "use_tf32": "0", "prefer_nhwc": "1"}
    assert provider.option("enable_cuda_graph") == "1"
    assert provider.option("cudnn_conv_algo_search") == "HEURISTIC"
    runtime.Generator(VAE, device="cuda", precision="tf32").close()
    assert provider.option("use_tf32") == "1"


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
    assert "MiB of the GPU's memory, beside ONNX Runtime's" in said["cuda:1"]
    assert "GPU" not in said["cpu"]
    images = [np.load(tmp_path / f"{device}.npy") for device in said]
    np.testing.assert_array_equal(*images)
