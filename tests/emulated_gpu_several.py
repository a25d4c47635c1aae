"""One engine on two emulated GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated_plans import Plan
from host_cuda import HostCuda
from PIL import Image

import runtime
from runtime.errors import ArgumentError, ClosedError, ExecutionError
from zoo.sample import main as sample_command

pytest_plugins = ["emulation"]

BOTH = ["cuda:0", "cuda:1"]


@pytest.fixture
def pair(plan: Plan) -> Iterator[tuple[runtime.Generator, runtime.Generators]]:
    """One device, and both."""
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
    given = runtime.noise.normals(5, 2, n, width)
    calls: list[dict[str, Any]] = [
        {"seed": 3, "first": 2**40},
        {"seed": 3, "mu": given, "logvar": given},
        {"seed": 3, "first": 5, "mu": given[0], "logvar": given[0]},
    ]
    for options in calls:
        expected = one.sample(n, **options)
        np.testing.assert_array_equal(both.sample(n, **options), expected)
        out = np.zeros_like(expected)
        assert both.sample(n, out=out, **options) is out
        np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(both.decode(given), one.decode(given))
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
        for labels in (None, 3, names[4], list(range(10)) + [1], np.arange(11) % 7):
            expected = one.sample(11, seed=1, first=3, labels=labels)
            images = both.sample(11, seed=1, first=3, labels=labels)
            np.testing.assert_array_equal(images, expected)
        cycled = one.sample(11, seed=1, first=3, labels=[2, 7, 5], cycle=True)
        images = both.sample(11, seed=1, first=3, labels=[2, 7, 5], cycle=True)
        np.testing.assert_array_equal(images, cycled)
        with both.stream(11, 1, 3, batch=2, labels=[2, 7, 5], cycle=True) as blocks:
            np.testing.assert_array_equal(np.concatenate(list(blocks)), cycled)
        given = runtime.noise.normals(5, 2, 6, one.latent_width)
        for labels in (None, [0, 1, 2, 3, 4, 9]):
            expected = one.decode(given, first=3, labels=labels)
            np.testing.assert_array_equal(both.decode(given, first=3, labels=labels), expected)
        with pytest.raises(ArgumentError, match="labels: expected 1 or n = 11, got 3"):
            both.sample(11, labels=[1, 2, 3])


def test_bad_requests(
    plan: Plan, pair: tuple[runtime.Generator, runtime.Generators], device: HostCuda
) -> None:
    path, both = plan("vae.onnx"), pair[1]
    for devices in ([], ["cuda:0", "cuda:0"]):
        with pytest.raises(ArgumentError, match="devices: expected one or more different ones"):
            runtime.Generators(path, devices)
    with pytest.raises(ArgumentError, match="out: several devices make them"):
        both.sample(4, out="device")
    with pytest.raises(ArgumentError, match=r"out: expected shape \(4, 28, 28, 1\)"):
        both.sample(4, out=np.zeros((3, 28, 28, 1), np.uint8))
    with pytest.raises(ArgumentError, match="out: expected 'numpy' or a NumPy array"):
        both.sample(4, out=[1])
    with pytest.raises(ArgumentError, match="n: expected at least 1"):
        both.stream(0)
    both.sample(8)
    device.fail("launch", 1, "cudaErrorUnknown: told to")
    with pytest.raises(ExecutionError, match="told to"):
        both.sample(8)
    np.testing.assert_array_equal(both.sample(8), pair[0].sample(8))
    stream = both.stream(10**9)
    next(stream)
    stream.close()
    with pytest.raises(ClosedError):
        next(stream)
    both.close()
    with pytest.raises(ClosedError):
        both.sample(1)


def test_the_command(plan: Plan, tmp_path: Path) -> None:
    made = []
    for name, devices in (("one", "cuda:0"), ("both", ",".join(BOTH))):
        out = tmp_path / f"{name}.npy"
        arguments = ["--engine", plan("vae.onnx"), "-n", 30, "--device", devices, "--out", out]
        sample_command([str(part) for part in arguments], standalone_mode=False)
        made.append(np.load(out))
    np.testing.assert_array_equal(*made)
    out = tmp_path / "grid.png"
    arguments = ["--engine", plan("vae.onnx"), "-n", 4, "--bucket", 16, "--out", out]
    sample_command([str(part) for part in arguments], standalone_mode=False)
    assert Image.open(out).size[0] > 28
