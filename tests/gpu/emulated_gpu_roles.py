"""Engines of all roles on arrays in a GPU's memory, on emulated CUDA devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import runtime
from emulated_plans import Plan
from host_cuda import HostCuda
from runtime.errors import ArgumentError
from shared_arrays import Interface, check_places, rows_for

pytest_plugins = ["emulation"]


@pytest.mark.parametrize("n", [1, 19])
def test_all_roles_with_arrays_on_the_device(
    n: int, plan: Plan, device: HostCuda, put: Callable[..., Interface]
) -> None:
    """Inputs and outputs of all roles stay on the device."""
    engines: dict[str, tuple[Any, str]] = {
        "vae.encoder.onnx": (runtime.Encoder, "embed"),
        "undercomplete-ae.encoder.onnx": (runtime.Encoder, "embed"),
        "face-attributes.onnx": (runtime.Classifier, "classify"),
        "denoising-ae.onnx": (runtime.Translator, "translate"),
        "stargan.onnx": (runtime.Translator, "translate"),
        "pix2pix-edges.onnx": (runtime.Translator, "translate"),
        "stylegan.mapping.onnx": (runtime.Mapping, "map"),
    }
    for name, (kind, method) in engines.items():
        with kind(plan(name)) as engine:
            rows, more = rows_for(engine, n)
            call = getattr(engine, method)
            on_device = put(rows)
            # Only the key and the attributes are copied up.
            expected = check_places(
                lambda out: call(on_device, out=out, **more),  # noqa: B023
                device,
                put,
                name,
                most_up=256 * (3 + n),
            )
            np.testing.assert_array_equal(call(rows, **more), expected, err_msg=name)


def test_encoders_on_the_device(plan: Plan, put: Callable[..., Interface]) -> None:
    with runtime.Encoder(plan("vae.encoder.onnx")) as encoder:
        images = np.random.default_rng(0).integers(0, 256, (6, *encoder.image_shape), np.uint8)
        expected = encoder.encode(images)
        for array, values in zip(encoder.encode(put(images), out="device"), expected, strict=True):
            np.testing.assert_array_equal(array.numpy(), values)
        for bad in (images.astype(np.float32), images[..., :0], images[0]):
            with pytest.raises(ArgumentError, match="images: expected"):
                encoder.encode(put(bad) if bad.size else bad)
        with pytest.raises(ArgumentError, match="out: expected 'numpy' or 'device'"):
            encoder.encode(images, out=expected[0])
