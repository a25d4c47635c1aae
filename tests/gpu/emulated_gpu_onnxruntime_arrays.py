"""ONNX Runtime's CUDA provider on arrays in a GPU's memory, on emulated CUDA devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import runtime
from host_cuda import HostCuda
from runtime.errors import ArgumentError
from shared_arrays import Interface, maker, rows_for
from zoo.engines import WEIGHTS

pytest_plugins = ["emulated_provider"]

VAE = WEIGHTS / "vae.onnx"


@pytest.fixture
def put(devices: HostCuda, nothing_left: None) -> Iterator[Callable[..., Interface]]:
    with maker(devices) as make:
        yield make


@pytest.mark.parametrize("n", [1, 5, 70])
def test_images_and_latents_stay_on_the_device(
    n: int, devices: HostCuda, put: Callable[..., Interface]
) -> None:
    with runtime.Generator(VAE, device="cuda", instances=1) as generator:
        given = runtime.noise.normals(5, 2, n, generator.latent_width)
        spread = -np.abs(given)
        mu, logvar = put(given), put(spread)
        generator.sample(n)
        calls: list[tuple[Callable[[Any], Any], Callable[[Any], Any]]] = [
            (lambda out: generator.sample(n, seed=3, first=9, out=out),) * 2,
            (
                lambda out: generator.sample(n, 3, 9, mu=given, logvar=spread, out=out),
                lambda out: generator.sample(n, 3, 9, mu=mu, logvar=logvar, out=out),
            ),
            (
                lambda out: generator.decode(given, out=out),
                lambda out: generator.decode(mu, out=out),
            ),
        ]
        for _ in range(2):
            for by_host, by_device in calls:
                expected = by_host("numpy")
                np.testing.assert_array_equal(by_device("numpy"), expected)
                devices.reset()
                made = by_device("device")
                assert devices.counter("copies_down") == 0
                np.testing.assert_array_equal(made.numpy(), expected)
                into = put(np.zeros_like(expected))
                assert by_device(into) is into
                np.testing.assert_array_equal(into.host, expected)


@pytest.mark.parametrize(
    ("name", "kind", "method"),
    [
        ("vae.encoder.onnx", runtime.Encoder, "embed"),
        ("face-attributes.onnx", runtime.Classifier, "classify"),
        ("stargan.onnx", runtime.Translator, "translate"),
        ("pix2pix-edges.onnx", runtime.Translator, "translate"),
        ("stylegan.mapping.onnx", runtime.Mapping, "map"),
    ],
)
def test_other_roles(
    name: str, kind: Any, method: str, devices: HostCuda, put: Callable[..., Interface]
) -> None:
    n = 5
    with kind(WEIGHTS / name, device="cuda", instances=1) as engine:
        given, more = rows_for(engine, n)
        call = getattr(engine, method)
        expected = call(given, **more)
        there = put(given)
        devices.reset()
        made = call(there, out="device", **more)
        assert devices.counter("copies_down") == 0
        assert devices.counter("bytes_up") <= 2048, "the key and the attributes"
        np.testing.assert_array_equal(made.numpy(), expected)


def test_exact_mode(devices: HostCuda) -> None:
    with runtime.Generator(VAE, device="cuda", bucket=64, instances=1) as generator:
        whole = generator.sample(70, seed=5)
        np.testing.assert_array_equal(generator.sample(1, seed=5, first=69), whole[69:])
        assert devices.counter("captures") == 1
    with pytest.raises(ArgumentError, match="bucket: expected one of .* 1, 16, 64, 256, got 5"):
        runtime.Generator(VAE, device="cuda", bucket=5)
