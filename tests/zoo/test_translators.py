"""Translators and the attribute classifier: inputs, training, unchanged pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from updates import Updates
from zoo import corruption
from zoo.data import DataSet, Split, faces
from zoo.errors import ConfigError
from zoo.models import registry
from zoo.models.attribute_classifier import AttributeClassifier, ClassifierConfig
from zoo.models.translators import Translator, TranslatorConfig
from zoo.training.classification import AttributeTask
from zoo.training.recipe import Recipe
from zoo.training.task import Batch
from zoo.training.translation import TranslationTask, corrupt

NOISES = ("gaussian:0.1-0.4", "masking:0.5")


@pytest.fixture(scope="module")
def some_faces() -> DataSet:
    """600 drawn faces at 32×32 for training and 200 for evaluation."""
    images, attributes = faces.make(0, 800, size=32)
    return DataSet(
        "faces",
        Split(images[:600], attributes=attributes[:600]),
        Split(images[600:], attributes=attributes[600:]),
        attributes=list(faces.ATTRIBUTES),
    )


def small(task: str, **options: Any) -> Translator:
    specs = {"denoising": NOISES, "inpainting": ("holes",), "colorization": ()}[task]
    torch.manual_seed(0)
    config = TranslatorConfig(32, 3, task, (16, 24), 1, specs, **options)  # type: ignore[arg-type]
    return Translator(config)


def fit(task: Any, model: Any, data: DataSet, steps: int = 60) -> list[float]:
    """Train on batches of 64; return the losses."""
    update = Updates(task.optimizers(model, Recipe(learning_rate=3e-3)))
    losses = []
    for step in range(steps):
        rows = np.arange(step * 64, step * 64 + 64) % len(data.train)
        attributes = data.train.attributes
        batch = Batch(
            torch.from_numpy(data.train.images[rows]),
            attributes=None if attributes is None else torch.from_numpy(attributes[rows]),
        )
        losses.append(float(task.step(model, batch, update)["loss"].detach()))
    return losses


@pytest.mark.parametrize(
    ("task", "channels"), [("denoising", 3), ("inpainting", 4), ("colorization", 1)]
)
def test_shapes_and_range(task: str, channels: int) -> None:
    model = small(task)
    assert model.config.input_channels == channels
    made = model.translate(torch.rand(2, channels, 32, 32))
    assert made.shape == (2, 3, 32, 32)
    assert 0 <= made.min() and made.max() <= 1


def test_known_pixels_stay(some_faces: DataSet) -> None:
    model = small("inpainting")
    masks = corruption.holes(8, 32, 32, seed=3)
    inputs = corruption.with_alpha(some_faces.test.images[:8], masks)
    x = torch.from_numpy(inputs.transpose(0, 3, 1, 2).copy()).float() / 255
    made = model.translate(x).detach().numpy().transpose(0, 2, 3, 1)
    known = masks[..., 0] == 255
    assert np.allclose(made[known], some_faces.test.images[:8][known] / 255, atol=1e-6)
    assert not np.allclose(made[~known], 0, atol=1e-2)


def test_loss_of_inpainting_is_that_of_the_hole() -> None:
    model = small("inpainting")
    images = torch.rand(4, 3, 32, 32)
    known = (torch.rand(4, 1, 32, 32) < 0.7).float()
    inputs = torch.cat([images * known, known], 1)
    found = model(inputs, images)
    with torch.no_grad():
        made = model.translate(inputs).double().numpy()
    hidden = np.broadcast_to(known.numpy() == 0, made.shape)
    difference = (made - images.double().numpy())[hidden]
    assert float(found["loss"].detach()) == pytest.approx(255 * np.abs(difference).mean(), rel=1e-4)
    assert float(found["mse"]) == pytest.approx((difference**2).mean(), rel=1e-4)


@pytest.mark.parametrize("task", ["denoising", "inpainting", "colorization"])
def test_learns_to_undo_the_damage(task: str, some_faces: DataSet) -> None:
    model, training = small(task), TranslationTask()
    before = training.evaluate(model, some_faces)
    losses = fit(training, model, some_faces)
    after = training.evaluate(model, some_faces)
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    for name in after:
        assert after[name] > before[name] + 1, name
    if task == "denoising":
        assert after["validation_gain_gaussian"] > 1 and after["validation_gain_masking"] > 5
    picture = training.picture(model, some_faces, seed=0)
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.std() > 20


def test_evaluation_is_the_psnr_of_the_pooled_error(some_faces: DataSet) -> None:
    model = small("denoising")
    measured = TranslationTask().evaluate(model, some_faces)
    images = some_faces.validation.images
    noisy = corruption.parse("masking:0.5").apply(images, seed=0)
    x = torch.from_numpy(noisy.transpose(0, 3, 1, 2).copy()).float() / 255
    with torch.no_grad():
        made = model.translate(x).double().numpy().transpose(0, 2, 3, 1)
    after = ((made - images / 255.0) ** 2).mean()
    before = (((noisy.astype(float) - images) / 255) ** 2).mean()
    assert measured["validation_psnr_masking"] == pytest.approx(-10 * np.log10(after), abs=1e-3)
    assert measured["validation_gain_masking"] == pytest.approx(
        10 * np.log10(before / after), abs=1e-3
    )


def test_a_batch_has_every_damage(some_faces: DataSet) -> None:
    images = some_faces.train.images[:10]
    made = corrupt(images, small("denoising").config, seed=5)
    masked = corruption.parse("masking:0.5").apply(images[1::2], 5)
    noisy = corruption.parse("gaussian:0.1-0.4").apply(images[0::2], 5)
    assert np.array_equal(made[1::2], masked) and np.array_equal(made[0::2], noisy)
    grey = corrupt(images, small("colorization").config, seed=5)
    assert np.array_equal(grey, corruption.grey(images))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "sharpening"}, "'denoising' or 'inpainting' or 'colorization', got 'sharpening'"),
        ({"task": "colorization", "channels": 1}, "channels must be 3 for the task colorization"),
        ({"image_size": 30}, "multiple of 4 for 2 widths, got 30"),
        ({"blocks": -1}, "blocks must be 0 or more"),
    ],
)
def test_bad_config(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        registry.get("denoising-ae").make(options)


@pytest.mark.parametrize(
    ("task", "specs", "message"),
    [
        ("denoising", (), "corruption must be noises"),
        ("denoising", ("holes",), "corruption must be noises"),
        ("inpainting", ("gaussian:0.1",), r"corruption must be \['holes'\]"),
        ("denoising", ("rain:0.1",), "rain"),
    ],
)
def test_damage_must_fit_the_task(task: str, specs: tuple[str, ...], message: str) -> None:
    model = registry.get("denoising-ae").make({"task": task, "corruption": specs})
    with pytest.raises(ConfigError, match=message):
        TranslationTask().optimizers(model, Recipe())


def test_classifier_learns_attributes(some_faces: DataSet) -> None:
    torch.manual_seed(0)
    names = tuple(some_faces.attributes)
    model = AttributeClassifier(ClassifierConfig(32, 3, (16, 24, 32), names))
    task = AttributeTask()
    fit(task, model, some_faces, steps=120)
    measured = task.evaluate(model, some_faces)
    assert some_faces.validation.attributes is not None
    share = (some_faces.validation.attributes > 0).mean(0)
    guess = np.maximum(share, 1 - share).mean()
    assert measured["validation_accuracy"] > guess + 0.02
    assert measured["validation_worst_accuracy"] <= measured["validation_accuracy"]
    scores = model.scores(torch.rand(3, 3, 32, 32))
    assert scores.shape == (3, len(names)) and 0 <= scores.min() and scores.max() <= 1
    assert task.picture(model, some_faces, 0).ndim == 3


def test_classifier_loss_against_numpy() -> None:
    torch.manual_seed(0)
    model = AttributeClassifier(ClassifierConfig(8, 1, (4,), ("a", "b")))
    images = torch.rand(5, 1, 8, 8)
    wanted = torch.tensor([[1, -1], [-1, 1], [1, 1], [-1, -1], [1, -1]], dtype=torch.int8)
    p = model.scores(images).detach().double().numpy()
    y = wanted.numpy() > 0
    expected = -np.where(y, np.log(p), np.log(1 - p)).mean()
    found = model(images, wanted)
    assert float(found["loss"].detach()) == pytest.approx(expected, rel=1e-5)
    assert float(found["accuracy"]) == pytest.approx(((p > 0.5) == y).mean())


def test_classifier_needs_attributes(fashion_mnist: DataSet) -> None:
    with pytest.raises(ConfigError, match="no attributes"):
        registry.get("face-attributes").make({"attributes": []})
    model = AttributeClassifier(ClassifierConfig(28, 1, (4, 4), ("a",)))
    with pytest.raises(ConfigError, match="no attributes"):
        AttributeTask().step(model, Batch(torch.zeros(2, 28, 28, 1, dtype=torch.uint8)), print)


def test_two_damages_of_a_kind_are_told_apart(some_faces: DataSet) -> None:
    config = TranslatorConfig(32, 3, "denoising", (8,), 0, ("masking:0.1", "masking:0.6"))
    measured = TranslationTask().evaluate(Translator(config), some_faces)
    assert set(measured) == {
        f"validation_{what}_masking:{level}"
        for what in ("psnr", "gain")
        for level in ("0.1", "0.6")
    }
