"""The bits of a row do not depend on how many rows are run at a time, seen in floats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import runtime
from backends import ANY_GRAPH
from export import pipeline, rows
from export.stock import Session
from toy_runs import write_run

SIZES = (1, 2, 3, 7, 8, 16, 17, 64, 200)

pytestmark = pytest.mark.usefixtures("quick_throughput")


@pytest.fixture(scope="module")
def stacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fully connected layers of awkward widths, random weights."""
    folder = tmp_path_factory.mktemp("stacked")
    write_run(folder / "run", "stacked-ae", {"hidden": (200, 100, 50), "latent": 16})
    pipeline.export(folder / "run", folder / "m.onnx", pipeline.Options(weights="fp32"))
    return folder / "m.onnx"


@pytest.mark.parametrize("backend", ANY_GRAPH)
@pytest.mark.parametrize("instances", [1, 3])
def test_encoder_of_dense_layers(stacked: Path, backend: str, instances: int) -> None:
    path = stacked.with_name("m.encoder.onnx")
    assert runtime.manifest.read(path)["batch"]["min"] == rows.DENSE
    images = np.random.default_rng(0).integers(0, 256, (200, 28, 28, 1)).astype(np.uint8)
    with runtime.Encoder(path, backend=backend, instances=instances) as encoder:
        whole = encoder.embed(images)
        for size in SIZES:
            parts = [encoder.embed(images[i : i + size]) for i in range(0, 200, size)]
            np.testing.assert_array_equal(np.concatenate(parts), whole, err_msg=str(size))


@pytest.mark.parametrize("backend", ANY_GRAPH)
def test_decoder_of_dense_layers(stacked: Path, backend: str) -> None:
    latents = np.random.default_rng(0).standard_normal((200, 16)).astype(np.float32)
    with runtime.Generator(stacked, backend=backend) as generator:
        whole = generator.decode(latents)
        for size in SIZES:
            parts = [generator.decode(latents[i : i + size]) for i in range(0, 200, size)]
            np.testing.assert_array_equal(np.concatenate(parts), whole, err_msg=str(size))
        zeros = np.zeros((1, 16), np.float32)
        drawn = generator.sample(64, seed=3, mu=zeros[0], logvar=zeros[0])
        for batch in (1, 5, 64):
            again = generator.sample(64, seed=3, mu=zeros[0], logvar=zeros[0], batch=batch)
            np.testing.assert_array_equal(again, drawn)


def test_rows_of_convolutions_are_measured(tmp_path: Path) -> None:
    write_run(tmp_path / "run", "denoising-ae", {"corruption": ["masking:0.5"]})
    pipeline.export(tmp_path / "run", tmp_path / "t.onnx")
    assert runtime.manifest.read(tmp_path / "t.onnx")["batch"]["min"] in rows.SIZES


def test_float_part_is_the_graph_without_noise_and_rounding(stacked: Path) -> None:
    model = onnx.load(stacked)
    part = rows.extract_float_part(model)
    assert [entry.name for entry in part.graph.input] == ["latent"]
    assert not {node.op_type for node in part.graph.node} & {"Floor", "ReparametrizedSample"}
    latents = np.random.default_rng(0).standard_normal((5, 16)).astype(np.float32)
    mean = Session(part).run(latent=latents)["mean"]
    image: Any = Session(model).decode(latents)["image"]
    levels = np.floor(np.clip(mean, 0, 1).transpose(0, 2, 3, 1) * 255 + 0.5)
    assert np.abs(image.astype(float) - levels).max() <= 1
