"""Engines in int8: shipped ones with measured ranges, and those that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runtime
from backends import ANY_GRAPH
from changed_engines import changed
from measured_ranges import with_ranges
from runtime._library import native
from runtime.errors import ArgumentError, BackendUnavailableError, ManifestError

COUNT = 21


@pytest.mark.parametrize(("name", "least"), [("dcgan", 40), ("vae", 45), ("progan", 37)])
def test_images_are_close_and_the_same_for_every_size_of_a_run(
    name: str, least: float, tmp_path: Path
) -> None:
    """On a CPU without AVX512-VNNI the engine is refused, and the error names it."""
    path = with_ranges(f"{name}.onnx", tmp_path)
    if not native.native_isas("int8"):
        with pytest.raises(BackendUnavailableError, match="no int8, which needs AVX512-VNNI"):
            runtime.Generator(path, precision="int8")
        return
    with (
        runtime.Generator(path, precision="int8", instances=2) as ours,
        runtime.Generator(path, backend="onnxruntime") as reference,
        runtime.Generator(path, backend="native", precision="bf16") as narrow,
    ):
        assert ours.backend == "native"
        images = ours.sample(COUNT, seed=5)
        exact, other = reference.sample(COUNT, seed=5), narrow.sample(COUNT, seed=5)
        error = np.square(images.astype(float) - exact).mean()
        assert np.square(other.astype(float) - exact).mean() < error
        assert 10 * np.log10(255**2 / error) > least
        for batch in (*range(1, 10), 16):
            assert np.array_equal(ours.sample(COUNT, seed=5, batch=batch), images), batch


@pytest.mark.parametrize(
    ("int8", "message"),
    [
        (None, "has no int8 form: its manifest has no ranges of activations"),
        ({"ranges": {}}, "has no int8 form: its manifest has no ranges of activations"),
        ({"refused": "PSNR 24.1 dB, at least 30 needed"}, "PSNR 24.1 dB, at least 30 needed"),
        ({"refused": "FID", "ranges": {"convolution": [0, 1]}}, "vae.onnx' has no int8 form: FID"),
    ],
    ids=str,
)
@pytest.mark.parametrize("backend", ["auto", "native"])
def test_engines_without_an_int8_form_are_refused_with_the_reason(
    int8: Any, message: str, backend: str, tmp_path: Path
) -> None:
    def edit(document: dict[str, Any]) -> None:
        document.pop("int8")
        if int8 is not None:
            document["int8"] = int8

    path = changed("vae.onnx", tmp_path, edit)
    with pytest.raises(ArgumentError, match=message):
        runtime.Generator(path, backend=backend, precision="int8")
    runtime.Generator(path)


def test_ranges_of_no_layer_are_refused(tmp_path: Path) -> None:
    if not native.native_isas("int8"):
        return  # the CPU is refused before the graph is read
    path = changed(
        "vae.onnx", tmp_path, lambda document: document.update(int8={"ranges": {"relu_1": [0, 1]}})
    )
    with pytest.raises(ArgumentError, match="no layer that the backend native computes in int8"):
        runtime.Generator(path, precision="int8")


@pytest.mark.parametrize("backend", ANY_GRAPH)
def test_other_backends_have_no_int8(backend: str, tmp_path: Path) -> None:
    path = changed(
        "vae.onnx", tmp_path, lambda d: d.update(int8={"ranges": {"convolution": [0, 1]}})
    )
    with pytest.raises(ArgumentError, match=r"expected 'fp32' or 'bf16', got 'int8'"):
        runtime.Generator(path, backend=backend, precision="int8")


@pytest.mark.parametrize(
    ("int8", "message"),
    [
        ([], "'int8': expected an object"),
        ({}, "'int8': expected 'ranges' or 'refused', got {}"),
        ({"psnr_db": 40}, "'int8': expected 'ranges' or 'refused'"),
        ({"refused": ""}, "'int8.refused': expected a non-empty string"),
        ({"refused": 24.1}, "'int8.refused': expected a non-empty string"),
        ({"ranges": []}, "'int8.ranges': expected an object"),
        ({"ranges": {"a": 1}}, "'int8.ranges.a': expected 2 finite numbers, got 1"),
        ({"ranges": {"a": [0]}}, "'int8.ranges.a': expected 2 finite numbers"),
        ({"ranges": {"a": [0, 1, 2]}}, "'int8.ranges.a': expected 2 finite numbers"),
        ({"ranges": {"a": [0, "1"]}}, "'int8.ranges.a': expected 2 finite numbers"),
        ({"ranges": {"a": [0, None]}}, "'int8.ranges.a': expected 2 finite numbers"),
        ({"ranges": {"a": [0, float("inf")]}}, "is not valid JSON"),
        ({"ranges": {"a": [-1e39, 1]}}, "'int8.ranges.a': expected 2 finite numbers"),
        ({"ranges": {"a": [1, 0.5]}}, r"'int8.ranges.a': expected \[low, high\] with low <= high"),
        ({"ranges": {"é": [1, 0]}}, r"'int8.ranges.é': expected \[low, high\]"),
    ],
    ids=str,
)
def test_malformed_ranges_are_refused_in_every_precision(
    int8: Any, message: str, tmp_path: Path
) -> None:
    path = changed("vae.onnx", tmp_path, lambda document: document.update(int8=int8))
    with pytest.raises(ManifestError, match=message):
        runtime.Generator(path)
