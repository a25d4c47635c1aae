"""The class classifier: formulas, training, and its engine file with features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

import runtime
from backends import ANY_GRAPH
from export import pipeline
from toy_runs import save_run
from zoo.errors import ConfigError
from zoo.models import registry
from zoo.models.class_classifier import ClassClassifier, ClassConfig
from zoo.training.classification import ClassTask, shift_randomly
from zoo.training.task import Batch

pytestmark = pytest.mark.usefixtures("quick_throughput")


def small(classes: int = 2, size: int = 8, dropout: float = 0.0) -> ClassClassifier:
    torch.manual_seed(0)
    return ClassClassifier(ClassConfig(size, 1, (4, 8), 12, dropout, classes))


def test_scores_are_a_distribution() -> None:
    model = ClassClassifier(ClassConfig(classes=10)).eval()
    images = torch.rand(3, 1, 28, 28)
    scores, features = model.scores(images), model.features(images)
    assert scores.shape == (3, 10) and features.shape == (3, 96)
    assert torch.allclose(scores.sum(1), torch.ones(3)) and (scores > 0).all()
    assert torch.equal(model.from_features(features), scores)


@pytest.mark.parametrize("size", [8, 7])
def test_sides_are_halved_rounding_up(size: int) -> None:
    model = small(size=size)
    assert model.features(torch.rand(2, 1, size, size)).shape == (2, 12)


def test_loss_against_numpy() -> None:
    model = small(classes=3)
    images, labels = torch.rand(5, 1, 8, 8), torch.tensor([0, 2, 1, 1, 0])
    p = model.eval().scores(images).detach().double().numpy()
    found = model.train()(images, labels)
    assert float(found["loss"].detach()) == pytest.approx(
        -np.log(p[np.arange(5), labels]).mean(), rel=1e-5
    )
    assert float(found["accuracy"]) == pytest.approx((p.argmax(1) == labels.numpy()).mean())


def test_moved_images() -> None:
    """Every result is the image shifted by up to a pixel, on black."""
    torch.manual_seed(0)
    images = torch.rand(200, 2, 5, 6)
    places = {(dy, dx): 0 for dy in (-1, 0, 1) for dx in (-1, 0, 1)}
    for image, got in zip(images, shift_randomly(images, 1), strict=True):
        padded = np.pad(image.numpy(), ((0, 0), (1, 1), (1, 1)))
        found = [
            place
            for place in places
            if np.array_equal(padded[:, 1 + place[0] :, 1 + place[1] :][:, :5, :6], got.numpy())
        ]
        assert len(found) == 1
        places[found[0]] += 1
    assert min(places.values()) > 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "2 or more classes, got 0"),
        ({"classes": 2, "dropout": 1.0}, "dropout must be from 0 to below 1, got 1.0"),
        ({"classes": 2, "features": 0}, "features must be a positive integer, got 0"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        registry.get("fashion-classifier").make(options)


def test_needs_labels() -> None:
    batch = Batch(torch.zeros(2, 8, 8, 1, dtype=torch.uint8))
    with pytest.raises(ConfigError, match="no labels"):
        ClassTask().terms(small(), batch)


def test_engine_gives_scores_and_features(tmp_path: Path) -> None:
    model = small(classes=3, dropout=0.5).eval()
    save_run(tmp_path / "run", "fashion-classifier", model, classes=["a", "b", "c"])
    (file,) = pipeline.export(
        tmp_path / "run", tmp_path / "c.onnx", pipeline.Options(weights="fp32")
    )
    assert any(check.name == "features: PyTorch" for check in file.checks)
    images = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 1)).astype(np.uint8)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        scores, features = model.scores(x).numpy(), model.features(x).numpy()
    for backend in ANY_GRAPH:
        with runtime.Classifier(file.path, backend=backend) as classifier:
            assert classifier.names == ["a", "b", "c"] and classifier.kind == "classes"
            assert np.allclose(classifier.classify(images), scores, atol=1e-5)
    session = onnxruntime.InferenceSession(str(file.path), providers=["CPUExecutionProvider"])
    assert np.allclose(session.run(["features"], {"image": images})[0], features, atol=1e-5)
