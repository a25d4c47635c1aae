"""Every shipped .onnx engine on a GPU, in ONNX Runtime's CUDA provider."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import runtime
from plan_cases import ENGINES
from plan_runs import assert_near, run_on_cpu, run_onnxruntime
from runtime.errors import BackendUnavailableError, DeviceUnavailableError
from zoo.engines import WEIGHTS

pytestmark = [
    pytest.mark.gpu,
    # The engines that run without CUDA graphs depend on ONNX Runtime's version.
    pytest.mark.filterwarnings("ignore:.*without CUDA graphs:RuntimeWarning"),
]

LEVELS = {"fp32": (2, 0.01), "tf32": (8, 0.3)}
"""Greatest and mean difference of levels: sums in another order, and products of 10 bits."""
NUMBERS = {"fp32": 1e-4, "tf32": 5e-3}
"""RMS difference, relative to the standard deviation."""
WITHOUT_GRAPHS = {"cgan.onnx"}
"""Engines of which ONNX Runtime 1.21 leaves a node to the CPU."""

expected = cache(run_on_cpu)


@pytest.fixture(autouse=True)
def provider() -> None:
    """Skip tests if the installed ONNX Runtime has no CUDA provider, or it does not load."""
    try:
        runtime.Generator(WEIGHTS / "vae.onnx", device="cuda", instances=1).close()
    except DeviceUnavailableError:
        raise
    except BackendUnavailableError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("precision", LEVELS)
@pytest.mark.parametrize("name", ENGINES)
def test_engines_agree_with_the_cpu(name: str, precision: str) -> None:
    got, want = run_onnxruntime(name, precision=precision), expected(name)
    assert_near(got, want, LEVELS[precision], NUMBERS[precision])


@pytest.mark.filterwarnings("error:.*without CUDA graphs:RuntimeWarning")
@pytest.mark.parametrize("name", sorted(set(ENGINES) - WITHOUT_GRAPHS))
def test_runs_are_cuda_graphs(name: str) -> None:
    """A warning would be the reason: a failed capture, or a replay with other results."""
    run_onnxruntime(name, instances=1)


def images(generator: Any, n: int, first: int) -> NDArray[np.uint8]:
    """Make images of seed 8 from 100 + first on, in runs of 16."""
    return generator.sample(n, seed=8, first=100 + first, batch=16)


@pytest.mark.parametrize("name", ["vae.onnx", "dcgan.onnx", "cgan.onnx", "stylegan.onnx"])
def test_images_of_one_size_do_not_depend_on_the_request(name: str) -> None:
    """Bit for bit: across replays, offsets, threads, instances, and requests of any size."""
    path = WEIGHTS / name
    with runtime.Generator(path, device="cuda") as generator:
        whole = images(generator, 64, 0)
        np.testing.assert_array_equal(images(generator, 64, 0), whole)
        for first, n in ((0, 2), (7, 30), (63, 1), (13, 16)):
            part = generator.sample(n, seed=8, first=100 + first, batch=16)
            if n > 1:  # a single row runs in another size
                np.testing.assert_array_equal(part, whole[first : first + n])
        with generator.stream(64, seed=8, first=100, batch=16) as blocks:
            np.testing.assert_array_equal(np.concatenate(list(blocks)), whole)
        with ThreadPoolExecutor(6) as pool:
            parts = pool.map(lambda i: images(generator, 9, i), range(40))
            for i, part in enumerate(parts):
                np.testing.assert_array_equal(part, whole[i : i + 9])
    with runtime.Generator(path, device="cuda", instances=1) as generator:
        np.testing.assert_array_equal(images(generator, 64, 0), whole)


def test_noise_is_that_of_the_contract() -> None:
    """The operator in the graph draws the latents of the host, which give the same images."""
    with runtime.Generator(WEIGHTS / "vae.onnx", device="cuda") as generator:
        latents = runtime.noise.normals(2**63 + 5, 2**40, 16, generator.latent_width)
        samples = generator.sample(16, seed=2**63 + 5, first=2**40, batch=16)
        np.testing.assert_array_equal(generator.decode(latents), samples)


def test_a_device_that_is_not_there() -> None:
    count = len(runtime.cuda.devices())
    with pytest.raises(DeviceUnavailableError, match=f"cuda:{count}"):
        runtime.Generator(WEIGHTS / "vae.onnx", device=f"cuda:{count}")
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") == "all" and count > 1:
        with runtime.Generator(WEIGHTS / "vae.onnx", device=f"cuda:{count - 1}") as last:
            with runtime.Generator(WEIGHTS / "vae.onnx", device="cuda:0") as first:
                np.testing.assert_array_equal(last.sample(3), first.sample(3))
