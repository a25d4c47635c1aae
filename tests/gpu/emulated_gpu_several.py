"""One engine on two emulated GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import runtime
from emulated_plans import Plan
from host_cuda import HostCuda
from plan_runs import check_fork
from runtime.errors import ArgumentError, ClosedError, ExecutionError
from zoo.sample import main as sample_command

pytest_plugins = ["emulation"]

BOTH = ["cuda:0", "cuda:1"]


@pytest.fixture
def pair(plan: Plan) -> Iterator[tuple[runtime.Generator, runtime.Generators]]:
    """Engines on one device, and on both."""
    path = plan("vae.onnx")
    with runtime.Generator(path) as one, runtime.Generators(path) as both:
        assert both.devices == BOTH and both.instances == 2 * one.instances
        assert both.latent_width == one.latent_width and both.backend == one.backend
        yield one, both


@pytest.mark.parametrize("n", [1, 2, 9, 64])
def test_images_are_those_of_one_device(
    n: int, pair: tuple[runtime.Generator, runtime.Generators], device: HostCuda
) -> None:
    one, both = pair
    width = one.latent_width
    latents = runtime.noise.normals(5, 2, n, width)
    calls: list[dict[str, Any]] = [
        {"seed": 3, "first": 2**40},
        {"seed": 3, "mu": latents, "logvar": latents},
        {"seed": 3, "first": 5, "mu": latents[0], "logvar": latents[0]},
    ]
    for options in calls:
        expected = one.sample(n, **options)
        np.testing.assert_array_equal(both.sample(n, **options), expected)
        out = np.zeros_like(expected)
        assert both.sample(n, out=out, **options) is out
        np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(both.decode(latents), one.decode(latents))
    with both.stream(n, seed=3, first=7, batch=4) as blocks:
        images = list(blocks)
    assert [len(block) for block in images] == [4] * (n // 4) + [n % 4] * (n % 4 > 0)
    np.testing.assert_array_equal(np.concatenate(images), one.sample(n, seed=3, first=7))
    assert both.peak_device_bytes >= one.peak_device_bytes
    if n > 1:
        shares = [generator.peak_device_bytes for generator in both._generators]
        assert all(shares), "both devices made images"


def test_classes_of_parts(plan: Plan) -> None:
    path = plan("cgan.onnx")
    with runtime.Generator(path) as one, runtime.Generators(path, BOTH) as both:
        names = one.classes
        for labels in (None, 3, np.int64(3), names[4], list(range(10)) + [1], np.arange(11) % 7):
            expected = one.sample(11, seed=1, first=3, labels=labels)
            images = both.sample(11, seed=1, first=3, labels=labels)
            np.testing.assert_array_equal(images, expected)
        cycled = one.sample(11, seed=1, first=3, labels=[2, 7, 5], cycle=True)
        images = both.sample(11, seed=1, first=3, labels=[2, 7, 5], cycle=True)
        np.testing.assert_array_equal(images, cycled)
        with both.stream(11, 1, 3, batch=2, labels=[2, 7, 5], cycle=True) as blocks:
            np.testing.assert_array_equal(np.concatenate(list(blocks)), cycled)
        latents = runtime.noise.normals(5, 2, 6, one.latent_width)
        for labels in (None, [0, 1, 2, 3, 4, 9]):
            expected = one.decode(latents, first=3, labels=labels)
            np.testing.assert_array_equal(both.decode(latents, first=3, labels=labels), expected)
        with pytest.raises(ArgumentError, match="labels: expected 1 or n = 11, got 3"):
            both.sample(11, labels=[1, 2, 3])


def test_bad_requests(
    plan: Plan, pair: tuple[runtime.Generator, runtime.Generators], device: HostCuda
) -> None:
    path, both = plan("vae.onnx"), pair[1]
    for devices in ([], ["cuda:0", "cuda:0"], ["cuda", "cuda:0"]):
        with pytest.raises(ArgumentError, match="devices: expected .*distinct devices"):
            runtime.Generators(path, devices)
    there = runtime.to_device(np.zeros((4, both.latent_width), np.float32))
    for call in (lambda: both.decode(there), lambda: both.sample(4, mu=there, logvar=there)):
        with pytest.raises(ArgumentError, match="expected an array in the host's memory"):
            call()

    with pytest.raises(ArgumentError, match="images come from several devices, got 'device'"):
        both.sample(4, out="device")
    with pytest.raises(ArgumentError, match=r"out: expected shape \(4, 28, 28, 1\)"):
        both.sample(4, out=np.zeros((3, 28, 28, 1), np.uint8))
    with pytest.raises(ArgumentError, match="out: expected 'numpy' or a NumPy array"):
        both.sample(4, out=[1])
    with pytest.raises(ArgumentError, match="n: expected at least 1"):
        both.stream(0)
    both.sample(8)
    device.fail("launch", 1, "cudaErrorUnknown: on request")
    with pytest.raises(ExecutionError, match="on request"):
        both.sample(8)
    np.testing.assert_array_equal(both.sample(8), pair[0].sample(8))
    stream = both.stream(10**9)
    next(stream)
    stream.close()
    with pytest.raises(ClosedError):
        next(stream)
    blocks = both.stream(60, seed=2, batch=4)
    first = next(blocks)
    device.fail("launch", 8, "cudaErrorUnknown: on request")
    with pytest.raises(ExecutionError, match="on request"):
        for _ in range(10):
            next(blocks)
    with pytest.raises(ExecutionError, match="on request"):
        next(blocks)
    device.fail("launch", 0)
    np.testing.assert_array_equal(first, both.sample(4, seed=2))
    blocks = both.stream(10**9)
    both.close()
    with pytest.raises(ClosedError):
        both.sample(1)
    with pytest.raises(ClosedError):
        for _ in range(20):
            next(blocks)


def test_a_forked_child_gets_an_error(plan: Plan) -> None:
    with runtime.Generators(plan("vae.onnx")) as both:
        both.sample(8)
        check_fork(lambda: both.sample(8))


def test_the_command(plan: Plan, tmp_path: Path) -> None:
    def sample(*arguments: object) -> None:
        sample_command(
            [*map(str, ("--engine", plan("vae.onnx"), *arguments))], standalone_mode=False
        )

    one, both = tmp_path / "one.npy", tmp_path / "both.npy"
    sample("-n", 30, "--device", "cuda:0", "--out", one)
    sample("-n", 30, "--device", ",".join(BOTH), "--out", both)
    np.testing.assert_array_equal(np.load(one), np.load(both))
    sample("-n", 4, "--bucket", 16, "--out", tmp_path / "grid.png")
    assert Image.open(tmp_path / "grid.png").size[0] > 28
