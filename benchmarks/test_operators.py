"""pytest-benchmark timings of the operators and of sampling.

    pytest benchmarks --benchmark-only

Each also reports ns per normal or images/s in `extra_info`.
"""

import numpy as np
import pytest

import runtime
from runtime import _runtime, noise
from zoo import engine_path

ROWS, WIDTH = 4096, 32


@pytest.mark.parametrize("isa", ["avx512", "avx2", "baseline"])
def test_normals(benchmark, isa: str) -> None:
    best = noise.kernel_isa()
    if not _runtime.use_noise_kernel_isa(isa):
        pytest.skip(f"this machine has no {isa}")
    try:
        benchmark(noise.normals, 1, 0, ROWS, WIDTH)
    finally:
        _runtime.use_noise_kernel_isa(best)
    benchmark.extra_info["ns_per_normal"] = benchmark.stats["mean"] / (ROWS * WIDTH) * 1e9


def test_numpy_normals(benchmark) -> None:
    """NumPy's own generator, for comparison."""
    rng = np.random.default_rng(0)
    benchmark(rng.standard_normal, (ROWS, WIDTH), np.float32)
    benchmark.extra_info["ns_per_normal"] = benchmark.stats["mean"] / (ROWS * WIDTH) * 1e9


def test_reparametrized_sample(benchmark) -> None:
    mu = np.zeros((ROWS, WIDTH), np.float32)
    benchmark(runtime.ops.reparametrized_sample, mu, mu, 1, 0)
    benchmark.extra_info["ns_per_normal"] = benchmark.stats["mean"] / mu.size * 1e9


@pytest.mark.parametrize("mode", ["linear", "spherical"])
def test_batched_interpolate(benchmark, mode: str) -> None:
    a, b = noise.normals(1, 0, 2 * 256, WIDTH).reshape(2, 256, WIDTH)
    t = np.linspace(0, 1, 17, dtype=np.float32)
    benchmark(runtime.ops.batched_interpolate, a, b, t, mode)
    benchmark.extra_info["ns_per_value"] = benchmark.stats["mean"] / (a.size * t.size) * 1e9


@pytest.mark.parametrize("batch", [1, 16, 64])
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_sample(benchmark, backend: str, batch: int) -> None:
    generator = runtime.Generator(engine_path("vae.onnx"), backend=backend)
    n = 2 * generator.instances * batch
    benchmark(generator.sample, n, batch=batch)
    benchmark.extra_info["images_per_second"] = n / benchmark.stats["mean"]
