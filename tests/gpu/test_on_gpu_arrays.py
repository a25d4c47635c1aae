"""Images and latents in a GPU's memory, shared with other packages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import runtime
from export.plan import pipeline, targets
from gpu_arrays import cuda_torch
from plan_runs import check_requests
from runtime.errors import ArgumentError, BackendUnavailableError
from zoo.engines import WEIGHTS

pytestmark = pytest.mark.gpu

N = 37


@pytest.fixture(scope="module")
def torch() -> Any:
    return cuda_torch()


@pytest.fixture(scope="module", params=targets.TARGETS)
def generator(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[runtime.Generator]:
    """The VAE, in each TensorRT that is installed and runs on this GPU."""
    if request.param not in targets.find_installed():
        pytest.skip(f"{request.param} is not installed")
    path = tmp_path_factory.mktemp("plan") / "vae.plan"
    options = pipeline.Options(target=request.param, batch=(1, 16))
    pipeline.export(WEIGHTS / "vae.onnx", path, options)
    try:
        opened = runtime.Generator(path)
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    with opened:
        yield opened


def test_pytorch_shares_images(generator: runtime.Generator, torch: Any) -> None:
    expected = generator.sample(N, seed=3, first=9)
    images = generator.sample(N, seed=3, first=9, out="device")
    for tensor in (torch.from_dlpack(images), torch.as_tensor(images, device="cuda")):
        assert tensor.data_ptr() == images.address and tensor.is_cuda
        np.testing.assert_array_equal(tensor.cpu().numpy(), expected)
    del images
    tensor += 1
    torch.cuda.synchronize()
    np.testing.assert_array_equal(tensor.cpu().numpy(), expected + 1)


def test_pytorch_gives_memory(generator: runtime.Generator, torch: Any) -> None:
    expected = generator.sample(N, seed=4)
    buffer = torch.zeros((N, *generator.image_shape), dtype=torch.uint8, device="cuda")
    assert generator.sample(N, seed=4, out=buffer) is buffer
    np.testing.assert_array_equal(buffer.cpu().numpy(), expected)
    whole = torch.full((N + 2, *generator.image_shape), 7, dtype=torch.uint8, device="cuda")
    generator.sample(N, seed=4, out=whole[1:-1])
    np.testing.assert_array_equal(whole[1:-1].cpu().numpy(), expected)
    assert (whole[0] == 7).all() and (whole[-1] == 7).all()


def test_latents_of_pytorch(generator: runtime.Generator, torch: Any) -> None:
    """They are computed on another stream just before."""
    z = runtime.noise.normals(5, 2, N, generator.latent_width)
    expected = generator.decode(z)
    around = generator.sample(N, seed=1, mu=z, logvar=-np.abs(z))
    stream = torch.cuda.Stream()
    for _ in range(5):
        with torch.cuda.stream(stream):
            latents = torch.zeros((N, generator.latent_width), device="cuda")
            torch.cuda._sleep(10_000_000)
            latents += torch.from_numpy(z).cuda(non_blocking=True)
            images = generator.decode(latents, out="device")
            logvar = -latents.abs()
            samples = generator.sample(N, seed=1, mu=latents, logvar=logvar)
        np.testing.assert_array_equal(images.numpy(), expected)
        np.testing.assert_array_equal(samples, around)
    with pytest.raises(ArgumentError, match="expected a contiguous array"):
        generator.decode(torch.zeros((generator.latent_width, N), device="cuda").T)
    with pytest.raises(ArgumentError, match="expected the type <f4"):
        generator.decode(latents.double())


@pytest.mark.parametrize("package", ["cupy", "numba", "pycuda"])
def test_other_packages(generator: runtime.Generator, package: str) -> None:
    expected = generator.sample(N, seed=3)
    images = generator.sample(N, seed=3, out="device")
    z = runtime.noise.normals(5, 2, N, generator.latent_width)
    if package == "cupy":
        cupy = pytest.importorskip("cupy")
        shared = cupy.from_dlpack(images)
        assert shared.data.ptr == images.address
        back, latents = cupy.asnumpy(shared), cupy.asarray(z)
    elif package == "numba":
        numba_cuda = pytest.importorskip("numba.cuda")
        back = numba_cuda.as_cuda_array(images).copy_to_host()
        latents = numba_cuda.to_device(z)
    else:
        pytest.importorskip("pycuda.autoprimaryctx")
        gpuarray = pytest.importorskip("pycuda.gpuarray")
        shared = gpuarray.GPUArray(images.shape, images.dtype, gpudata=images.address)
        back, latents = shared.get(), gpuarray.to_gpu(z)
    np.testing.assert_array_equal(back, expected)
    np.testing.assert_array_equal(generator.decode(latents), generator.decode(z))


def test_exact_mode(generator: runtime.Generator) -> None:
    """Images are bit-equal for every request if there is one batch size."""
    with runtime.Generator(generator.path, bucket=16) as exact:
        whole = exact.sample(N, seed=8)
        check_requests(exact, whole, [(0, 1, None), (3, 16, None), (20, 17, None)])
