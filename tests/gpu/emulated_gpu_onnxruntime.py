"""Shipped .onnx engines in ONNX Runtime's CUDA provider, on emulated CUDA devices.

See `emulated_provider.py` for the emulated parts; `test_emulated_gpu.py` runs this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from plan_cases import RUNS
from plan_runs import check_requests, run_on_cpu, run_onnxruntime
from runtime.errors import ArgumentError, BackendUnavailableError, DeviceUnavailableError
from shared_arrays import Interface, check_places, maker, rows_for
from small_engines import Graph, manifest
from zoo.engines import WEIGHTS
from zoo.sample import main as sample_command

pytest_plugins = ["emulated_provider"]

VAE = WEIGHTS / "vae.onnx"


@pytest.fixture
def put(devices: HostCuda, nothing_left: None) -> Iterator[Callable[..., Interface]]:
    """Make arrays on the first device, released at the end of the test."""
    with maker(devices) as make:
        yield make


@pytest.mark.parametrize("name", RUNS)
def test_the_device_agrees_with_the_cpu(name: str, devices: HostCuda) -> None:
    """Bit for bit: the kernels are the same, and our operator draws the noise in the graph."""
    np.testing.assert_array_equal(run_onnxruntime(name), run_on_cpu(name))
    assert devices.counter("launches") > 0, "no graph was replayed"
    draws = b"ReparametrizedSample" in (WEIGHTS / name).read_bytes()
    assert (devices.counter("samples") > 0) == draws


def test_images_do_not_depend_on_the_request(expected: NDArray[Any]) -> None:
    with runtime.Generator(VAE, device="cuda:0") as generator:
        assert generator.instances == 2
        parts = [(0, 60, None), (3, 2, None), (59, 1, 1), (7, 40, 20), (0, 60, 5)]
        check_requests(generator, expected, parts)


def test_alternating_runs_from_the_prior_and_from_latents(expected: NDArray[Any]) -> None:
    """A run replaces the contents of the device's memory unless it needs the same."""
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
    """ONNX Runtime is called while a size is prepared; later runs copy only a key up."""
    with runtime.Generator(VAE, device="cuda", instances=1) as generator:
        generator.sample(16)
        # Twice to allocate memory, once for the graph, and once to compare it with.
        assert provider.counter("enqueued") == 4 and devices.counter("captures") == 1
        devices.reset()
        provider.reset()
        for seed in range(5):
            generator.sample(16, seed=seed)
        assert provider.counter("enqueued") == 0 and devices.counter("captures") == 0
        # The latent, and the component of the learned prior.
        assert provider.counter("runs") == 5 and provider.counter("operators") == 10
        counts = {name: devices.counter(name) for name in ("launches", "copies_up", "copies_down")}
        assert counts == {"launches": 5, "copies_up": 5, "copies_down": 5}
        # The key, and the switch of the learned prior.
        assert devices.counter("bytes_up") <= 5 * 2 * 256
        # Rows of 784 bytes, and alignment.
        assert 5 * 16 * 784 <= devices.counter("bytes_down") <= 5 * (16 * 784 + 256)
        generator.decode(np.zeros((16, generator.latent_width)))
        assert devices.counter("captures") == 0, "one graph for latents from anywhere"
        # Key and switch, mu and logvar of 32 values, and images.
        assert generator.peak_device_bytes == 2 * 256 + 16 * (2 * 32 * 4 + 784)


@pytest.mark.parametrize(("name", "rows"), [("vae.onnx", 1), ("gan.onnx", 16)])
def test_sizes_of_a_run(devices: HostCuda, name: str, rows: int) -> None:
    """The least size that holds the request, and at least the least batch of the engine."""
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
    with pytest.raises(
        ArgumentError, match="backend: expected 'auto' or 'onnxruntime' .* got 'openvino'"
    ):
        runtime.Generator(VAE, device="cuda", backend="openvino")
    with pytest.raises(BackendUnavailableError, match="not bf16: build a plan"):
        runtime.Generator(VAE, device="cuda", precision="bf16")
    with pytest.raises(ArgumentError, match="precision: expected"):
        runtime.Generator(VAE, device="cuda", precision="fp7")
    with pytest.raises(ArgumentError, match="precision: expected"):
        runtime.Generator(VAE, device="cpu", precision="tf32")
    for device in ("cuda", "cpu"):  # the backend first, for its precisions depend on it
        with pytest.raises(ArgumentError, match="^backend: .* got 'abacus'"):
            runtime.Generator(VAE, device=device, backend="abacus", precision="fp7")
    devices.fail("device_count", 1, "cudaErrorInsufficientDriver: the driver is too old")
    with pytest.raises(DeviceUnavailableError, match="(too old|no NVIDIA driver).*cpu"):
        runtime.Generator(VAE, device="cuda:0")


def test_options_of_the_provider(provider: HostOnnxRuntime) -> None:
    expected = {
        "device_id": "1",
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
        "do_copy_in_default_stream": "1",
        "prefer_nhwc": "1",
        "use_tf32": "0",
        "enable_cuda_graph": "1",
    }
    for precision, tf32 in (("fp32", "0"), ("tf32", "1")):
        runtime.Generator(VAE, device="cuda:1", precision=precision).close()
        got = {name: provider.option(name) for name in expected}
        assert got == expected | {"use_tf32": tf32}


def write_halves(path: Path, keys: list[int | str]) -> None:
    """Write a generator of latents of 12 whose images are the sigmoid of h / 2.

    It has both operators; keys: the shape of seed and first.
    """
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
    latent = {"width": 12, "prior": "normal"}
    inputs: dict[str, Any] = {
        **{name: (TensorProto.FLOAT, ["n", 12]) for name in ("mu", "logvar")},
        **{name: (TensorProto.INT64, keys) for name in ("seed", "first")},
    }
    document = manifest("generator", (2, 2, 3), latent=latent, noise=noise)
    image = {"image": (TensorProto.UINT8, ["n", 2, 2, 3])}
    graph.save(path, document, inputs, image, "zoo")


def test_interpolation_in_a_graph(tmp_path: Path) -> None:
    """The operator that no shipped engine has."""
    path = tmp_path / "halves.onnx"
    write_halves(path, [1])
    with runtime.Generator(path, device="cuda") as generator:
        images = generator.sample(40, seed=5, first=3)
    # a + (b - a) / 4 of h and -h is h / 2.
    half = runtime.noise.normals(5, 3, 40, 12).astype(np.float64) / 2
    levels = np.round(255 / (1 + np.exp(-half))).reshape(-1, 3, 2, 2).transpose(0, 2, 3, 1)
    assert np.abs(images.astype(int) - levels).max() <= 1


@pytest.mark.parametrize("shape", [["k"], [1]])
def test_rows_of_any_seeds_share_a_run_where_the_engine_allows_it(
    shape: list[int | str], tmp_path: Path, devices: HostCuda
) -> None:
    path = tmp_path / "halves.onnx"
    write_halves(path, shape)
    keys = [(7, 3), (7, 4), (2**64 - 1, 2**64 - 1), (0, 2**40), (7, 3), *((i, i) for i in range(7))]
    with runtime.Generator(path, device="cuda", instances=1) as generator:
        for size in (1, 16):
            generator.sample(size)
        devices.reset()
        images = generator.sample(len(keys), keys=keys)
        # One series has two rows.
        assert devices.counter("launches") == (1 if shape == ["k"] else len(keys) - 1)
        for image, (seed, first) in zip(images, keys, strict=True):
            np.testing.assert_array_equal(image, generator.sample(1, seed, first)[0])


@pytest.mark.parametrize("n", [5, 17])
def test_images_and_latents_stay_on_the_device(
    n: int, devices: HostCuda, put: Callable[..., Interface]
) -> None:
    with runtime.Generator(VAE, device="cuda", instances=1) as generator:
        latents = runtime.noise.normals(5, 2, n, generator.latent_width)
        spread = -np.abs(latents)
        mu, logvar = put(latents), put(spread)
        calls: list[tuple[Callable[[Any], Any], NDArray[Any]]] = [
            (lambda out: generator.sample(n, seed=3, first=9, out=out), generator.sample(n, 3, 9)),
            (
                lambda out: generator.sample(n, 3, 9, mu=mu, logvar=logvar, out=out),
                generator.sample(n, 3, 9, mu=latents, logvar=spread),
            ),
            (lambda out: generator.decode(mu, out=out), generator.decode(latents)),
        ]
        for call, expected in calls * 2:
            np.testing.assert_array_equal(check_places(call, devices, put), expected)


@pytest.mark.parametrize(
    ("name", "kind", "method"),
    [
        ("vae.encoder.onnx", runtime.Encoder, "embed"),
        ("stargan.onnx", runtime.Translator, "translate"),
    ],
)
def test_inputs_of_other_roles_stay_on_the_device(
    name: str, kind: Any, method: str, devices: HostCuda, put: Callable[..., Interface]
) -> None:
    with kind(WEIGHTS / name, device="cuda", instances=1) as engine:
        rows, more = rows_for(engine, 5)
        call = getattr(engine, method)
        on_device = put(rows)
        got = check_places(lambda out: call(on_device, out=out, **more), devices, put, most_up=2048)
        np.testing.assert_array_equal(got, call(rows, **more))


def test_exact_mode(devices: HostCuda, expected: NDArray[Any]) -> None:
    with runtime.Generator(VAE, device="cuda", bucket=64, instances=1) as generator:
        check_requests(generator, expected, [(0, 60, None), (59, 1, None)])
        assert devices.counter("captures") == 1
    with pytest.raises(ArgumentError, match="bucket: expected one of .* 1, 16, 64, 256, got 5"):
        runtime.Generator(VAE, device="cuda", bucket=5)


def test_the_command(
    tmp_path: Path, expected: NDArray[Any], capfd: pytest.CaptureFixture[str]
) -> None:
    """`zoo.sample` reports the device."""
    out = tmp_path / "images.npy"
    arguments = f"--engine vae.onnx --device cuda:1 -n 5 --seed 8 -v --out {out}"
    sample_command(arguments.split(), standalone_mode=False)
    printed = "".join(capfd.readouterr())
    assert "onnxruntime, 2 instances" in printed
    assert "MiB of the GPU's memory, beside ONNX Runtime's" in printed
    np.testing.assert_array_equal(np.load(out), expected[:5])
