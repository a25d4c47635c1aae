"""StarGAN: its networks, its losses, and a few training steps on real pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from recipes import shipped
from updates import Updates, step_once
from zoo.data import DataSet, Split, faces
from zoo.errors import ConfigError
from zoo.models import registry
from zoo.models.folding import to_inference
from zoo.models.stargan import StarGAN, StarGANConfig, reconstruction_loss
from zoo.training.domains import DomainTask
from zoo.training.recipe import Recipe
from zoo.training.task import Batch

HAIR = ("Black_Hair", "Brown_Hair", "Blond_Hair", "Red_Hair", "Pink_Hair", "Gray_Hair")
NAMES = (*HAIR, "Smiling", "Eyeglasses")
OPTIONS: dict[str, Any] = {
    "image_size": 32,
    "attributes": faces.ATTRIBUTES,
    "domains": NAMES,
    "groups": [HAIR],
    "hidden_by": {"Eyeglasses": ["Sunglasses"]},
    "widths": [12, 16],
    "blocks": 1,
    "discriminator_widths": [8, 16, 24],
}


def small(**options: Any) -> StarGAN:
    torch.manual_seed(0)
    return StarGAN(StarGANConfig(**{**OPTIONS, **options}))


@pytest.fixture(scope="module")
def some_faces() -> DataSet:
    """320 drawn faces of 32×32 for training and 40 for evaluation."""
    images, attributes = faces.make(0, 360, size=32)
    train, held_out = (
        Split(images[a:b], attributes=attributes[a:b]) for a, b in ((0, 320), (320, 360))
    )
    names = list(faces.ATTRIBUTES)
    return DataSet("faces", train, held_out, attributes=names, validation=held_out)


def batch_of(data: DataSet, start: int, count: int) -> Batch:
    rows, split = slice(start, start + count), data.train
    assert split.attributes is not None
    return Batch(
        torch.from_numpy(split.images[rows]), attributes=torch.from_numpy(split.attributes[rows])
    )


def own_attributes(batch: Batch) -> np.ndarray:
    """Return the images' domains and sunglasses, 0 or 1, [N, 9]."""
    assert batch.attributes is not None
    columns = [faces.ATTRIBUTES.index(name) for name in (*NAMES, "Sunglasses")]
    return (batch.attributes.numpy()[:, columns] > 0).astype(np.float64)


def cross_entropy(logits: np.ndarray, wanted: np.ndarray) -> float:
    """Return -log p of independent attributes, summed over them, averaged over images."""
    signed = np.where(wanted > 0, logits, -logits)
    return float(np.logaddexp(0, -signed).sum(1).mean())


def test_shapes_and_range() -> None:
    model = small()
    images, attributes = torch.rand(3, 3, 32, 32), torch.randint(0, 2, (3, 8)).float()
    made = model.translate(images, attributes)
    assert made.shape == images.shape and 0 <= made.min() and made.max() <= 1
    assert model.discriminator(images).shape == (3, 1, 4, 4)
    assert model.discriminator.domains(images).shape == (3, 9)
    assert model.config.input_channels == 3


def test_the_attributes_decide() -> None:
    model = small().eval()
    images = torch.rand(1, 3, 32, 32).expand(8, -1, -1, -1)
    with torch.no_grad():
        made = model.translate(images, torch.eye(8))
        again = torch.cat([model.translate(images[:1], torch.eye(8)[i : i + 1]) for i in range(8)])
    torch.testing.assert_close(made, again, atol=1e-5, rtol=1e-5)
    for first in range(8):
        for second in range(first):
            assert float((made[first] - made[second]).abs().max()) > 1e-3


def test_a_change_of_nothing_is_the_identity() -> None:
    model = small()
    last = model.generator.layers[-1]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    images, attributes = torch.rand(2, 3, 32, 32), torch.rand(2, 8).round()
    made = model.generator(images, attributes)
    assert torch.equal(made, images)
    again = model.generator(made, 1 - attributes)
    assert float(reconstruction_loss(images, again).detach()) == 0


def test_classifier_is_the_head_of_the_discriminator() -> None:
    model = small()
    images = torch.rand(4, 3, 32, 32)
    classifier = model.classifier
    assert classifier.names == (*NAMES, "Sunglasses") and classifier.kind == "multilabel"
    logits = model.discriminator.domains(images).detach().double().numpy()
    scores = classifier.scores(images).detach().numpy()
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), rtol=1e-5)
    features = classifier.features(images)
    torch.testing.assert_close(classifier.from_features(features), classifier.scores(images))
    assert not any(name.startswith("classifier") for name in model.state_dict())
    for exported in (to_inference(model, classifies=True), model):
        torch.testing.assert_close(exported.classifier.scores(images), torch.from_numpy(scores))


def test_shipped_recipe() -> None:
    recipe, options = shipped("stargan")
    model: Any = registry.get("stargan").make(options)
    assert model.config.domains == NAMES and model.config.groups == (HAIR,)
    assert model.config.table.hidden_by == {"Eyeglasses": ("Sunglasses",)}
    parameters = sum(p.numel() for p in model.generator.parameters())
    assert 700_000 < parameters < 1_000_000
    assert DomainTask(recipe).best == "validation_spoilt"


def test_losses_against_numpy(some_faces: DataSet) -> None:
    model = small(classification=0.7, reconstruction=6.0, change=2.0, smoothness=0.0)
    task, batch, update = DomainTask(), batch_of(some_faces, 0, 16), Updates()
    own = own_attributes(batch)
    targets = model.config.table.permute(own > 0).astype(np.float64)
    images, wanted = batch.images, torch.from_numpy(targets).float()
    with torch.no_grad():
        fake = model.generator(images, wanted)
        back = model.generator(fake, torch.from_numpy(own[:, :8]).float())
        real_patches, fake_patches, real_logits, fake_logits = (
            x.double().numpy()
            for x in (
                model.discriminator(images),
                model.discriminator(fake),
                model.discriminator.domains(images),
                model.discriminator.domains(fake),
            )
        )
    terms = {k: float(v.detach()) for k, v in task.step(model, batch, update).items()}
    named = cross_entropy(real_logits, own)
    assert terms["real_classification"] == pytest.approx(0.7 * named, rel=1e-5)
    adversarial = np.logaddexp(0, -real_patches).mean() + np.logaddexp(0, fake_patches).mean()
    assert update.losses[0] == pytest.approx(adversarial + 0.7 * named, rel=1e-5)

    # What hides a domain is to stay: the sunglasses are wanted as they are.
    all_wanted = np.concatenate([targets, own[:, 8:]], 1)
    expected = {
        "classification": 0.7 * cross_entropy(fake_logits, all_wanted),
        "reconstruction": 6 * 2 * np.abs((back - images).double().numpy()).mean(),
        "change": 2 * 2 * np.abs((fake - images).double().numpy()).mean(),
    }
    for name, value in expected.items():
        assert terms[name] == pytest.approx(value, rel=1e-4), name
    total = np.logaddexp(0, -fake_patches).mean() + sum(expected.values())
    assert update.losses[1] == pytest.approx(total, rel=1e-4)


def test_smoothness_of_a_linear_classifier(some_faces: DataSet) -> None:
    model, batch = small(smoothness=0.3), batch_of(some_faces, 0, 12)
    weights = torch.randn(3 * 32 * 32, 9) / 50
    model.discriminator.domains = lambda images: images.flatten(1) @ weights
    terms = DomainTask().discriminator_extra(model, batch, batch.images, batch.images)
    # The gradient of Σ ±l is the sum of the columns of the weights with these signs.
    gradients = (2 * own_attributes(batch) - 1) @ weights.double().numpy().T
    expected = 0.3 / 2 * np.square(gradients).sum(1).mean()
    assert float(terms["smoothness"].detach()) == pytest.approx(expected, rel=1e-4)
    assert "smoothness" not in DomainTask().discriminator_extra(
        small(smoothness=0.0), batch, batch.images, batch.images
    )


def test_evaluation_and_picture(some_faces: DataSet) -> None:
    model, task = small(), DomainTask(Recipe(adversarial={"fid_images": 0}))
    after = task.evaluate(model, some_faces)
    for name in ("accuracy", "success", "touched", "others"):
        assert 0 <= after[f"validation_{name}"] <= 1
    assert after["validation_spoilt"] == pytest.approx(
        1 - after["validation_success"] + after["validation_touched"]
    )
    picture = task.picture(model, some_faces, seed=0)
    # Eight images, each beside its eight changes, with gaps of two pixels.
    assert picture.shape == (8 * 34 + 2, 9 * 34 + 2, 3) and picture.dtype == np.uint8


def test_data_without_attributes(some_faces: DataSet) -> None:
    bare = Batch(torch.from_numpy(some_faces.train.images[:4]))
    with pytest.raises(ConfigError, match="needs a data set with attributes"):
        DomainTask().step(small(), bare, Updates())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"domains": []}, "domains must be at least 1 attribute, got none"),
        ({"domains": ["Smiling", "Halo"], "groups": [], "hidden_by": {}}, "no attribute 'Halo'"),
        ({"attributes": []}, "no attribute 'Black_Hair'; attributes: none"),
        ({"groups": [["Smiling", "Sunglasses"]]}, "Sunglasses is not a domain"),
        ({"hidden_by": {"Smiling": ["Eyeglasses"]}}, "that hide Smiling must not be domains"),
        ({"hidden_by": {"Smiling": ["Mask"]}}, "no attribute 'Mask'"),
        ({"blocks": 0}, "blocks must be 1 or more, up to 1000, got 0"),
        ({"widths": []}, "widths must be 1 or more positive integers"),
        ({"discriminator_widths": [8] * 6}, "multiple of 64 for 6 discriminator_widths"),
        ({"reconstruction": -1}, "reconstruction must be 0 or more, got -1"),
        ({"smoothness": "much"}, "smoothness must be 0 or more, got 'much'"),
        ({"classification": float("nan")}, "classification must be 0 or more, got nan"),
    ],
)
def test_bad_config(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        registry.get("stargan").make({**OPTIONS, **options})


def test_projected_discriminator_leaves_the_classifier_to_the_papers(some_faces: DataSet) -> None:
    """Both learn: one to detect fakes, the other the domains."""
    model: Any = small()
    options = {"discriminator": "projected", "loss": "pairs", "fid_images": 0}
    task = DomainTask(Recipe(adversarial=options))
    task.equip(model)
    task.prepare(model, some_faces, Recipe())
    terms, changed = step_once(task, model, batch_of(some_faces, 0, 8))
    assert {"classification", "real_classification", "reconstruction"} <= terms.keys()
    assert {name.split(".")[0] for name in changed} == {"generator", "projected", "discriminator"}
    # Its head that tells real from fake is not asked.
    assert "discriminator.project.0.weight" in changed
    assert "discriminator.judge.weight" not in changed
