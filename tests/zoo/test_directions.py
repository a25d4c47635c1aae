"""Attribute directions of generators without encoder, from a classifier's scores of samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto
from onnxruntime import InferenceSession

import runtime
import small_engines
from adversarial_runs import STYLEGAN, write_run
from export import directions, pipeline
from export.pipeline import Options
from oracles.noise import normals
from shell import refuses, succeeds
from small_engines import Graph

ATTRIBUTES = ["Left", "Top", "Never"]
SAMPLES, FEWEST = 1500, 100
SMALL: dict[str, dict[str, Any]] = {
    "dcgan": {"image_size": 8, "latent": 6, "widths": (16, 8), "discriminator_widths": (8, 8)},
    "stylegan": STYLEGAN | {"channels": 1},
}


def judge(path: Path, names: list[str] = ATTRIBUTES, mean: Any = 0.0) -> Path:
    """Write a classifier of whether the left or upper half is brighter than in `mean` [8, 8]."""
    weights = np.zeros((8, 8, 3), np.float32)
    weights[:, :4, 0], weights[:, 4:, 0] = 1, -1
    weights[:4, :, 1], weights[4:, :, 1] = 1, -1
    offset = -(np.broadcast_to(mean, (8, 8))[..., None] * weights).sum((0, 1)) - [0, 0, 100]
    graph = Graph()
    graph.add("Flatten", [graph.floats_of("image")], "flat")
    parts = [
        graph.constant("weights", weights.reshape(64, 3)),
        graph.constant("offset", offset.astype(np.float32)),
    ]
    graph.add("Gemm", ["flat", *parts], "logits")
    graph.add("Sigmoid", ["logits"], "scores")
    scores = {"names": names, "kind": "multilabel"}
    document = small_engines.manifest("classifier", (8, 8, 1), scores=scores)
    inputs = {"image": (TensorProto.UINT8, ["N", 8, 8, 1])}
    graph.save(path, document, inputs, {"scores": (TensorProto.FLOAT, ["N", 3])})
    return path


@pytest.fixture(scope="module", params=["dcgan", "stylegan"])
def family(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, quick_throughput: None
) -> tuple[Path, Any]:
    """Engines with the attributes that the judge knows, and their model."""
    folder = tmp_path_factory.mktemp(request.param)
    gain = 3.0 if request.param == "dcgan" else 1.0
    model: Any = write_run(
        folder / "run", request.param, SMALL[request.param], gain, attributes=ATTRIBUTES
    )
    with torch.no_grad():
        torch.manual_seed(1)
        images = model.generator(torch.randn(500, model.config.latent)).clamp(0, 1)
    mean = images.mean((0, 1)).numpy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(directions, "FACES", str(judge(folder / "judge.onnx", mean=mean)))
        patch.setattr(directions, "SAMPLES", SAMPLES)
        patch.setattr(directions, "FEWEST", FEWEST)
        pipeline.export(folder / "run", folder / "m.onnx", Options(weights="fp32"))
    return folder, model


def judge_samples(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return latents [n, D] of the judged samples, and the judge's decisions by ONNX Runtime."""
    with runtime.Generator(folder / "m.onnx", backend="onnxruntime") as generator:
        images = generator.sample(SAMPLES, directions.SEED)
        latents = normals(directions.SEED, 0, SAMPLES, generator.latent_width)
    scores = InferenceSession(folder / "judge.onnx").run(None, {"image": images})[0]
    return latents, scores > 0.5


def test_directions_are_differences_of_means(family: tuple[Path, Any]) -> None:
    folder, model = family
    latents, has = judge_samples(folder)
    document = runtime.manifest.read(folder / "m.onnx")
    assert list(document["directions"]) == ["Left", "Top"]
    assert document["directions_judge"].startswith("judge ")
    assert document["directions_judge"].endswith(f", {SAMPLES} samples")
    assert "mean" not in document["latent"]
    for name, column in zip(ATTRIBUTES, has.T[:2], strict=False):
        assert FEWEST < column.sum() < SAMPLES - FEWEST
        expected = latents[column].mean(0) - latents[~column].mean(0)
        # A sample on the border may be judged otherwise.
        np.testing.assert_allclose(document["directions"][name], expected, atol=0.02)
        assert np.linalg.norm(expected) > 0.2
    if document["model"] == "stylegan":
        synthesis = runtime.manifest.read(folder / "m.synthesis.onnx")["directions"]
        with runtime.Mapping(folder / "m.mapping.onnx") as mapping:
            styles = mapping.map(latents.astype(np.float32)).astype(np.float64)
        for name, column in zip(ATTRIBUTES, has.T[:2], strict=False):
            expected = styles[column].mean(0) - styles[~column].mean(0)
            np.testing.assert_allclose(synthesis[name], np.tile(expected, 4), atol=0.02)


def test_samples_are_edited(family: tuple[Path, Any], tmp_path: Path) -> None:
    """The reported success equals that of a loop over samples."""
    folder, _ = family
    report = tmp_path / "report.json"
    engine = folder / "m.onnx"
    said = succeeds(
        *("edit", "--engine", engine, "--evaluate", folder / "judge.onnx", "-n", 300),
        *("--amount", 2, "--json", report),
        cwd=tmp_path,
    )
    assert "300 images of samples, edited by α = ±2" in said
    session = InferenceSession(folder / "judge.onnx")
    found = {entry["name"]: entry for entry in json.loads(report.read_text())["attributes"]}
    assert sorted(found) == ["Left", "Top"]
    with runtime.Generator(engine) as generator:
        latents = normals(0, 0, 300, generator.latent_width).astype(np.float32)
        for column, name in enumerate(("Left", "Top")):

            def judged(latents: np.ndarray, column: int = column) -> np.ndarray:
                images = generator.decode(latents)
                return session.run(None, {"image": images})[0][:, column] > 0.5

            direction = np.array(generator.manifest["directions"][name], np.float32)
            before = judged(latents)
            signs = np.where(before, -2, 2)[:, None].astype(np.float32)
            took = judged(latents + signs * direction) != before
            assert found[name]["success"] == pytest.approx(took.mean(), abs=0.005)
            against = judged(latents - signs * direction) != before
            assert took.mean() > 0.3 and took.mean() > 2 * against.mean()
            assert found[name]["added"] + found[name]["removed"] == 300
    edit = "edit", "sample:3", "--engine", engine, "--add", "Left=2", "--out", "edited.npy"
    succeeds(*edit, cwd=tmp_path)
    assert np.load(tmp_path / "edited.npy").shape == (1, 8, 8, 1)


def test_bad_requests(family: tuple[Path, Any], tmp_path: Path) -> None:
    folder, _ = family
    evaluate = "edit", "--engine", folder / "m.onnx", "--evaluate", folder / "judge.onnx"
    said = refuses(*evaluate, "--data", "fashion-mnist", cwd=tmp_path)
    assert "--data: m.onnx has no encoder to read images; omit --data to edit samples" in said
    other = judge(tmp_path / "other.onnx", ["A", "B", "C"])
    said = refuses(*evaluate[:-1], other, cwd=tmp_path)
    assert "no attribute is known to both: the engine has Left, Top; the classifier A, B, C" in said
    if (folder / "m.synthesis.onnx").is_file():
        half = "edit", "--engine", folder / "m.synthesis.onnx", "--evaluate", folder / "judge.onnx"
        assert "neither an encoder nor a prior" in refuses(*half, cwd=tmp_path)


def test_another_judges_attributes_are_not_used(tmp_path: Path, quick_throughput: None) -> None:
    """The shipped classifier knows 64×64 faces, so other data have no directions."""
    write_run(tmp_path / "run", "dcgan", SMALL["dcgan"], attributes=["Purring"])
    pipeline.export(tmp_path / "run", tmp_path / "m.onnx")
    document = runtime.manifest.read(tmp_path / "m.onnx")
    assert document["directions"] == {} and "directions_judge" not in document
    said = refuses("edit", "seed:1", "--engine", "m.onnx", "--add", "Purring=1", cwd=tmp_path)
    assert "has no attribute directions" in said
