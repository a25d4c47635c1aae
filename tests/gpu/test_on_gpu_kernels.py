"""CUDA kernels, compared with the CPU operators, PyTorch's rounding, and cuRAND."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import runtime
from gpu_arrays import Arrays, cuda_torch
from runtime import cuda
from runtime.errors import ArgumentError

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def torch() -> Any:
    return cuda_torch()


@pytest.fixture(scope="module")
def arrays(torch: Any) -> Arrays:
    return Arrays(torch)


SHAPES = [(1, 1), (3, 5), (7, 64), (64, 100), (1000, 64), (3, 4096), (513, 33)]
KEYS = [(0, 0), (2**63 + 5, 2**32 - 3), (2**64 - 1, 2**64 - 600)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("seed", "first"), KEYS)
def test_noise_is_bit_equal_to_the_cpu(
    arrays: Any, shape: tuple[int, int], seed: int, first: int
) -> None:
    if first + shape[0] > 2**64:
        first = 2**64 - shape[0]
    got = arrays.sample(arrays.key(seed, first), shape, stream=3).cpu().numpy()
    expected = runtime.noise.normals(seed, first, *shape, stream=3)
    np.testing.assert_array_equal(got.view(np.int32), expected.view(np.int32))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", ["fp32", "fp16", "bf16"])
def test_samples_are_those_of_the_cpu_rounded_like_in_pytorch(
    arrays: Any, torch: Any, shape: tuple[int, int], kind: str
) -> None:
    random = np.random.default_rng(0)
    mu = random.standard_normal(shape).astype(np.float32)
    logvar = random.uniform(-30, 5, shape).astype(np.float32)
    logvar[0, 0] = -np.inf
    got = arrays.sample(arrays.key(9, 40), shape, kind, arrays.put(mu), arrays.put(logvar))
    expected = torch.from_numpy(runtime.ops.reparametrized_sample(mu, logvar, 9, 40))
    assert torch.equal(got.cpu(), expected.to(got.dtype))


def test_rows_depend_only_on_their_index(arrays: Any, torch: Any) -> None:
    whole = arrays.sample(arrays.key(5, 0), (100, 64))
    parts = [arrays.sample(arrays.key(5, k), (20, 64)) for k in range(0, 100, 20)]
    assert torch.equal(torch.cat(parts), whole)


def test_a_captured_graph_continues_from_batch_to_batch(arrays: Any, torch: Any) -> None:
    key = arrays.key(5, 7)
    samples, view = arrays.empty((32, 64), "fp32")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        queue = torch.cuda.current_stream().cuda_stream
        cuda.reparametrized_sample(view, key, queue=queue)
        cuda.advance(key, 32, queue)
    for batch in range(3):
        graph.replay()
        expected = runtime.noise.normals(5, 7 + 32 * batch, 32, 64)
        np.testing.assert_array_equal(samples.cpu().numpy(), expected)
    assert key.cpu().tolist() == [5, 7 + 96]


def test_two_streams_at_once(arrays: Any, torch: Any) -> None:
    streams = [torch.cuda.Stream() for _ in range(2)]
    torch.cuda.synchronize()
    samples = []
    for seed in range(8):
        with torch.cuda.stream(streams[seed % 2]):
            samples.append(arrays.sample(arrays.key(seed, 0), (256, 512)))
    torch.cuda.synchronize()
    for seed, part in enumerate(samples):
        np.testing.assert_array_equal(part.cpu().numpy(), runtime.noise.normals(seed, 0, 256, 512))


@pytest.mark.parametrize("mode", ["linear", "spherical"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 64), (40, 7), (5, 4096)], ids=str)
@pytest.mark.parametrize("steps", [1, 11, 300])
def test_interpolation_agrees_with_the_cpu(
    arrays: Any, mode: str, shape: tuple[int, int], steps: int
) -> None:
    random = np.random.default_rng(1)
    a, b = random.standard_normal((2, *shape)).astype(np.float32)
    b[0] = a[0]
    t = np.linspace(0, 1, steps, dtype=np.float32)
    got, view = arrays.empty((shape[0], steps, shape[1]), "fp32")
    cuda.batched_interpolate(view, arrays.put(a), arrays.put(b), arrays.put(t), mode)
    expected = runtime.ops.batched_interpolate(a, b, t, mode)
    if mode == "linear":
        np.testing.assert_array_equal(got.cpu().numpy(), expected)
    else:
        # sin and acos of CUDA and of the C library differ in the last bits.
        np.testing.assert_allclose(got.cpu().numpy(), expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("shape", [(1, 1, 28, 28), (3, 3, 64, 64), (2, 4, 5, 7)], ids=str)
def test_levels(arrays: Any, torch: Any, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(2).uniform(-0.1, 1.1, shape).astype(np.float32)
    out = torch.zeros((shape[0], *shape[2:], shape[1]), dtype=torch.uint8, device="cuda")
    cuda.image_levels(out, arrays.put(images))
    levels = np.floor(images * np.float32(255) + np.float32(0.5)).clip(0, 255).astype(np.uint8)
    np.testing.assert_array_equal(out.cpu().numpy(), levels.transpose(0, 2, 3, 1))


CURAND = r"""
#include <curand_kernel.h>
extern "C" __global__ void fill(unsigned long long seed, unsigned long long first, int rows,
                                int blocks, unsigned* bits, float4* normals) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  curandStatePhilox4_32_10_t state, again;
  curand_init(seed, first + row, 0, &state);
  curand_init(seed, first + row, 0, &again);
  for (int block = 0; block < blocks; ++block) {
    const uint4 four = curand4(&state);
    unsigned* out = bits + 4 * (row * blocks + block);
    out[0] = four.x; out[1] = four.y; out[2] = four.z; out[3] = four.w;
    normals[row * blocks + block] = curand_normal4(&again);
  }
}
"""


@pytest.mark.parametrize(("seed", "first"), [(0, 0), (12345678901234, 7)])
def test_noise_agrees_with_curand(arrays: Any, seed: int, first: int) -> None:
    """Bits are equal; normals agree within the error of cuRAND's fast logarithm and sine."""
    cupy = pytest.importorskip("cupy")
    rows, blocks = 50, 16
    bits = cupy.zeros((rows, 4 * blocks), cupy.uint32)
    normals = cupy.zeros((rows, 4 * blocks), cupy.float32)
    try:
        kernel = cupy.RawModule(code=CURAND, backend="nvcc").get_function("fill")
    except Exception as error:
        pytest.skip(f"cuRAND's header cannot be compiled here: {str(error)[:200]}")
    arguments = (np.uint64(seed), np.uint64(first), np.int32(rows), np.int32(blocks))
    kernel((1,), (64,), (*arguments, bits, normals))
    for row in (0, 1, 49):
        for block in (0, 15):
            counter = [block, 0, (first + row) & 0xFFFFFFFF, (first + row) >> 32]
            key = [seed & 0xFFFFFFFF, seed >> 32]
            expected = runtime.noise.philox(counter, key)
            got = cupy.asnumpy(bits)[row, 4 * block : 4 * block + 4]
            np.testing.assert_array_equal(got, expected)
    own = arrays.sample(arrays.key(seed, first), (rows, 4 * blocks)).cpu().numpy()
    np.testing.assert_allclose(cupy.asnumpy(normals), own, rtol=1e-4, atol=1e-5)


def test_cupy_arrays(arrays: Any) -> None:
    cupy = pytest.importorskip("cupy")
    out = cupy.empty((10, 64), cupy.float32)
    key = cupy.array([3, 4], cupy.uint64)
    cuda.reparametrized_sample(out, key, queue=cupy.cuda.get_current_stream().ptr)
    np.testing.assert_array_equal(cupy.asnumpy(out), runtime.noise.normals(3, 4, 10, 64))


def test_memory_of_the_host_is_refused(arrays: Any, torch: Any) -> None:
    """Even pinned memory, to which a device could write."""

    class Pinned:
        def __init__(self, tensor: Any) -> None:
            self.__cuda_array_interface__ = {
                "shape": tuple(tensor.shape),
                "typestr": "<f4",
                "data": (tensor.data_ptr(), False),
                "version": 3,
            }

    with pytest.raises(ArgumentError, match="expected memory of a GPU, got memory of the host"):
        cuda.reparametrized_sample(Pinned(torch.zeros(2, 4).pin_memory()), arrays.key(0, 0))
    # The device still works.
    assert arrays.sample(arrays.key(0, 0), (2, 4)).isfinite().all()


def test_the_current_device_stays(arrays: Any, torch: Any) -> None:
    before = torch.cuda.current_device()
    arrays.sample(arrays.key(0, 0), (2, 4))
    assert torch.cuda.current_device() == before
