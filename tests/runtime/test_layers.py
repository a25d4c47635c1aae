"""The times of an engine's layers, and how `zoo.inspect --layers` shows them."""

import json
from pathlib import Path

import pytest

import runtime
import zoo
from runtime.errors import ArgumentError
from shell import refuses, succeeds


def convolution_operations(outputs: int, inputs: int, side: int, size: int, stride: int) -> int:
    """2 · products of a convolution padded to `side` / stride outputs, zeros around left out."""
    padding = (size - 1) // 2
    inside = [
        sum(0 <= at * stride + k - padding < side for k in range(size))
        for at in range(side // stride)
    ]
    return 2 * outputs * inputs * sum(inside) ** 2


@pytest.mark.parametrize("batch", [1, 16])
def test_operations_are_counted(batch: int) -> None:
    """The layers of the VAE's encoder, by their definition."""
    times = runtime.measure_layers(zoo.engine_path("vae.encoder.onnx"), batch=batch, seconds=0)
    counted = {layer.name: layer.operations for layer in times.layers if layer.operations}
    assert counted["conv2d_1"] == convolution_operations(64, 32, 14, 4, 2)
    assert counted["conv2d_2"] == convolution_operations(64, 64, 7, 3, 1)
    assert all(layer.seconds > 0 for layer in times.layers)
    assert times.isa in ("avx2", "avx512", "neon") and times.ceiling > 0


@pytest.mark.parametrize("name", ["stylegan", "stargan", "fashion-classifier"])
def test_every_kind_of_layer_has_a_time(name: str) -> None:
    layers = runtime.measure_layers(zoo.engine_path(name), seconds=0).layers
    assert all(layer.kind and layer.seconds > 0 for layer in layers)


def test_a_table_json_and_a_plot(tmp_path: Path) -> None:
    lines = succeeds("inspect", "vae", "--layers", "--batch", "1", cwd=tmp_path).splitlines()
    assert lines[1].split()[:4] == ["layer", "kind", "MFLOP", "µs"]
    assert lines[-1].startswith("ceiling of one core, avx")
    arguments = ("inspect", "vae", "--layers", "--json", "--plot", "layers.png")
    document = json.loads(succeeds(*arguments, cwd=tmp_path))
    assert document["precision"] == "fp32" and document["batch"] == 16
    assert len(document["layers"]) == len(lines) - 4
    assert (tmp_path / "layers.png").read_bytes().startswith(b"\x89PNG")


def test_bad_arguments(tmp_path: Path) -> None:
    assert "only with --layers" in refuses("inspect", "vae", "--plot", "a.png", cwd=tmp_path)
    layers = ("inspect", "vae", "--layers")
    assert "must be a .png" in refuses(*layers, "--plot", "a.svg", cwd=tmp_path)
    assert "precision" in refuses(*layers, "--precision", "int9", cwd=tmp_path)
    assert "batch" in refuses(*layers, "--batch", "5000", cwd=tmp_path)
    with pytest.raises(ArgumentError, match="seconds: expected 0 to 600"):
        runtime.measure_layers(zoo.engine_path("vae"), seconds=1e9)
