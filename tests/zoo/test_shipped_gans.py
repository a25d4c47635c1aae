"""The shipped adversarial models: diverse, better than the VAE, no copies, invertible."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

import runtime
from zoo import corruption, data, engine_path
from zoo.applications.inversion import invert
from zoo.corruption.edges import edges
from zoo.data import DataSet
from zoo.data.domains import read_domains
from zoo.engines import encoder_path
from zoo.evaluation import domain_quality
from zoo.evaluation.memorisation import copied_share, nearest
from zoo.evaluation.quality import delta_e, psnr, ssim
from zoo.evaluation.quick import QuickFid
from zoo.models.weights import load_generator
from zoo.training import collapse

SAMPLES = 2000
CLOTHES = ("gan", "dcgan", "bigan", "cgan")
FACES = {"dcgan-faces": (0.05, 0.2), "progan": (0.05, 0.2), "stylegan": (0.08, 0.05)}
"""Largest mean difference of attribute shares from real faces, and least part of a real share."""
FACE_SAMPLES = 1000


@pytest.fixture(scope="module")
def clothes() -> Callable[[int], DataSet]:
    return cache(lambda size: data.load("fashion-mnist", size=size))


@pytest.fixture(scope="module")
def measured(clothes: Callable[[int], DataSet]) -> Callable[[str], dict[str, float]]:
    """Function from a shipped engine to the Fréchet distance and class metrics of its samples."""
    judge = cache(lambda size: QuickFid(clothes(size), SAMPLES))

    def measure(name: str) -> dict[str, float]:
        with runtime.Generator(engine_path(f"{name}.onnx")) as generator:
            images = generator.sample(SAMPLES, seed=3)
        found: dict[str, float] = judge(images.shape[1]).measure(images)
        return found

    return cache(measure)


def sample(name: str, count: int, seed: int) -> np.ndarray:
    with runtime.Generator(engine_path(f"{name}.onnx")) as generator:
        images: np.ndarray = generator.sample(count, seed)
    return images


@pytest.mark.parametrize("name", CLOTHES)
def test_every_class_comes_up_and_no_sample_is_like_another(
    name: str, measured: Callable[[str], dict[str, float]], clothes: Callable[[int], DataSet]
) -> None:
    images = sample(name, 500, seed=4)
    spread = collapse.measure_diversity(images, clothes(images.shape[1]).test.images)
    assert collapse.find_problems(spread | measured(name)) == []
    assert measured(name)["modes"] == 1.0
    # Ten classes in equal parts would be ln 10 = 2.303 nats.
    assert measured(name)["class_entropy"] > 2.2


@pytest.mark.parametrize("name", CLOTHES)
def test_manifest_tells_the_distance_that_is_shipped(
    name: str, clothes: Callable[[int], DataSet]
) -> None:
    """The engine's images of training's latents: fp16 costs nothing."""
    with runtime.Generator(engine_path(f"{name}.onnx")) as generator:
        training = generator.manifest["training"]
        noise = torch.Generator().manual_seed(1)
        latents = torch.randn(SAMPLES, generator.latent_width, generator=noise)
        asked = {"labels": np.arange(SAMPLES) % 10} if generator.class_count else {}
        images = generator.decode(latents.numpy(), **asked)
    part = training.get("measured_on", "test")
    found = QuickFid(clothes(images.shape[1]), SAMPLES, part=part).measure(images)["fid"]
    assert found == pytest.approx(training["metrics"]["fid"], rel=0.02)


def test_samples_of_a_class_belong_to_it() -> None:
    """By the classifier, whose accuracy on test images is 93.1 %."""
    with (
        runtime.Generator(engine_path("cgan.onnx")) as generator,
        runtime.Classifier(engine_path("fashion-classifier.onnx")) as classifier,
    ):
        assert generator.classes == classifier.names
        for label, name in enumerate(classifier.names):
            images = generator.sample(300, seed=9, labels=name)[:, 2:-2, 2:-2]
            told = classifier.classify(images).argmax(1)
            # A shirt may be a T-shirt, a pullover or a coat, for the classifier, too.
            assert (told == label).mean() > (0.6 if name == "Shirt" else 0.8), name


@pytest.mark.parametrize("name", FACES)
def test_faces_have_all_attributes_and_are_unlike(name: str) -> None:
    """Attributes are about as frequent as among real faces, by a separate classifier."""
    faces = data.load("faces")
    images = sample(name, 1000, seed=4)
    assert collapse.find_problems(collapse.measure_diversity(images[:500], faces.test.images)) == []
    with runtime.Classifier(engine_path("face-attributes.onnx")) as judge:
        made = (judge.classify(images) > 0.5).mean(0)
    assert faces.test.attributes is not None
    real = (faces.test.attributes > 0).mean(0)
    gap, least = FACES[name]
    assert np.abs(made - real).mean() < gap
    assert (made > least * real).all()
    found = nearest(images[:300], faces.train.images)
    held_out = nearest(faces.test.images[:300], faces.train.images)
    assert copied_share(found, held_out)[0] < 0.05


def test_truncation_costs_variety() -> None:
    """Images become more alike towards the mean style (Karras et al. 2019, appendix B)."""
    with runtime.Generator(engine_path("stylegan.onnx")) as generator:
        sets = [generator.sample(200, seed=5, truncation=psi) for psi in (1.0, 0.5, 0.0)]
    real = data.load("faces").test.images
    spread = [collapse.measure_diversity(images, real)["pair_distance"] for images in sets]
    assert spread[0] > spread[1] > spread[2]
    assert spread[0] > 0.8 and spread[2] < 0.2


def test_bigan_encodes_what_an_image_shows(clothes: Callable[[int], DataSet]) -> None:
    """G(E(x)) has x's class and is closer to x than to other images, and E finds the latents."""
    test = clothes(28).test
    path = engine_path("bigan.onnx")
    with (
        runtime.Encoder(encoder_path(path)) as encoder,
        runtime.Generator(path) as generator,
        runtime.Classifier(engine_path("fashion-classifier.onnx")) as classifier,
    ):
        copies = generator.decode(encoder.embed(test.images))
        same = classifier.classify(copies).argmax(1) == test.labels
        latents = runtime.noise.normals(0, 0, 2000, generator.latent_width)
        found = encoder.embed(generator.decode(latents))
    # One in ten by chance, and 93 % of the images themselves.
    assert same.mean() > 0.75
    assert psnr(test.images, copies).mean() > psnr(test.images[::-1], copies).mean() + 3
    assert np.corrcoef(latents.ravel(), found.ravel())[0, 1] > 0.3


@pytest.mark.parametrize("name", CLOTHES)
def test_training_images_are_not_copied(name: str, clothes: Callable[[int], DataSet]) -> None:
    samples = sample(name, 500, seed=5)
    loaded = clothes(samples.shape[1])
    found = nearest(samples, loaded.train.images)
    held_out = nearest(loaded.test.images[:500], loaded.train.images)
    assert copied_share(found, held_out)[0] < 0.05


def test_changes_of_domain_take() -> None:
    """On held-out faces, by a separate classifier: 85 % succeed, 10 % change more."""
    faces = data.load("faces").test
    images, attributes = faces.images[:300], faces.attributes
    assert attributes is not None
    with (
        runtime.Translator(engine_path("stargan.onnx")) as translator,
        runtime.Classifier(engine_path("face-attributes.onnx")) as judge,
    ):
        rules = read_domains(translator)
        names = judge.names
        own = attributes[:300, rules.columns(names)] > 0
        effects = domain_quality.evaluate(
            [(images, own)],
            rules,
            lambda images, targets: translator.translate(images, targets.astype(np.float32)),
            lambda images: judge.classify(images) > 0.5,
            names,
        )
    whole = domain_quality.total(effects)
    assert whole.images > 800
    assert whole.success >= 0.85 and whole.touched <= 0.1
    assert {effect.name for effect in effects} == set(rules.names)
    assert min(effect.success for effect in effects) > 0.6


def test_edges_become_faces() -> None:
    """Held-out faces are closer to the truth than the mean face, and keep its attributes."""
    faces = data.load("faces")
    test = faces.test
    truth, attributes = test.images[:300], test.attributes
    assert attributes is not None
    drawn = edges(truth)
    with (
        runtime.Translator(engine_path("pix2pix-edges.onnx")) as translator,
        runtime.Classifier(engine_path("face-attributes.onnx")) as judge,
    ):
        made = translator.translate(drawn, seed=1, first=7)
        again = translator.translate(drawn[100:103], seed=1, first=107)
        told = judge.classify(made) > 0.5
        names = judge.names
    # Dropout is noise of the contract: image i is the same in any batch.
    np.testing.assert_array_equal(made[100:103], again)
    mean = np.broadcast_to(faces.train.images.mean(0).astype(np.uint8), truth.shape)
    assert ssim(made, truth).mean() > max(0.65, ssim(mean, truth).mean() + 0.1)
    assert psnr(made, truth).mean() > psnr(mean, truth).mean() + 5
    right = told == (attributes[:300] > 0)
    assert right.mean() > 0.9
    # What lines show is found nearly always; colours are a guess.
    shape = [names.index(name) for name in ("Eyeglasses", "Sunglasses", "Bald", "Long_Hair")]
    assert right[:, shape].mean() > 0.95


def test_grey_becomes_colour() -> None:
    """Held-out faces are closer to the truth than grey, in hue too, and as recognisable."""
    test = data.load("faces").test
    truth, attributes = test.images[:300], test.attributes
    assert attributes is not None
    grey = corruption.grey(truth)
    still = np.repeat(grey, 3, axis=3)
    with (
        runtime.Translator(engine_path("pix2pix-colour.onnx")) as translator,
        runtime.Classifier(engine_path("face-attributes.onnx")) as judge,
    ):
        made = translator.translate(grey, seed=1)
        told = judge.classify(made) > 0.5
        told_of_grey = judge.classify(still) > 0.5
        names = judge.names
    assert psnr(made, truth).mean() > psnr(still, truth).mean() + 4
    assert delta_e(made, truth).mean() < 0.6 * delta_e(still, truth).mean()
    right, right_of_grey = (found == (attributes[:300] > 0) for found in (told, told_of_grey))
    assert right.mean() > 0.97
    colours = ("Black", "Brown", "Blond", "Red", "Pink", "Gray")
    hair = [names.index(f"{colour}_Hair") for colour in colours]
    assert right[:, hair].mean() > right_of_grey[:, hair].mean() + 0.05


@pytest.mark.slow
def test_dcgan_is_inverted() -> None:
    """Its own images are found again from noise with at least 30 dB."""
    module, _ = load_generator(engine_path("dcgan.onnx"))
    decode: Any = module.requires_grad_(False)
    images = sample("dcgan", 2, seed=6)
    starts = runtime.noise.normals(0, 0, 2 * 48, 64, 48).reshape(2, 48, 64)
    found = invert(decode, images, starts)
    with runtime.Generator(engine_path("dcgan.onnx")) as generator:
        again = generator.decode(found.latents)
    assert psnr(images, again).min() > 30
