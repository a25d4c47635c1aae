"""GAN, DCGAN, conditional and bidirectional GAN: what the papers specify."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from recipes import shipped
from zoo import data
from zoo.data import DataSet
from zoo.errors import ConfigError
from zoo.models import registry
from zoo.training.task import Batch, make_task

NAMES = ("gan", "dcgan", "dcgan-faces", "cgan", "bigan")


def make(name: str, **changed: Any) -> Any:
    torch.manual_seed(0)
    _, options = shipped(name)
    return registry.get(name).make(options | changed).eval()


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_range(name: str) -> None:
    model = make(name)
    config = model.config
    latents = torch.randn(5, config.latent)
    labels = torch.arange(5)
    given = (latents, labels) if name == "cgan" else (latents,)
    images = model.generator(*given).detach()
    assert images.shape == (5, config.channels, config.image_size, config.image_size)
    assert model.generator.bounded and float(images.min()) >= 0 and float(images.max()) <= 1
    if name == "cgan":
        scores = model.discriminator(images, labels)
    elif name == "bigan":
        assert model.encoder(images).shape == (5, config.latent)
        assert model.reconstruct(images).shape == images.shape
        scores = model.discriminator(images, latents)
    else:
        scores = model.discriminator(images)
    assert scores.shape == (5,)


@pytest.mark.parametrize("name", ["dcgan", "dcgan-faces", "cgan", "bigan"])
def test_weights_begin_as_the_paper_says(name: str) -> None:
    """N(0, 0.02²) kernels and N(1, 0.02²) scales: section 4 of Radford et al."""
    for layer in make(name).modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) and layer.weight.numel() > 5000:
            assert float(layer.weight.detach().mean()) == pytest.approx(0, abs=1e-3)
            assert float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
        if isinstance(layer, nn.BatchNorm2d):
            assert float(layer.weight.detach().mean()) == pytest.approx(1, abs=0.02)
            assert float(layer.bias.detach().abs().max()) == 0


def test_dcgan_keeps_the_guidelines() -> None:
    """Strides instead of pooling, normalisation but at G's end and D's start, no dense layers."""
    model = make("dcgan")
    kinds = [type(layer) for layer in model.modules()]
    assert not {nn.Linear, nn.MaxPool2d, nn.AvgPool2d, nn.Upsample} & set(kinds)
    generator = [type(layer) for layer in model.generator.layers]
    assert generator == [nn.ConvTranspose2d, nn.BatchNorm2d, nn.ReLU] * 3 + [nn.ConvTranspose2d]
    features = [type(layer) for layer in model.discriminator.features]
    later = [nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU]
    assert features == [nn.Conv2d, nn.LeakyReLU] + later * 2
    slopes = {m.negative_slope for m in model.modules() if isinstance(m, nn.LeakyReLU)}
    assert slopes == {0.2}


def test_maxout_units_are_maxima_of_their_pieces() -> None:
    discriminator = make("gan", discriminator_widths=(3,), maxout=4, dropout=0.5).discriminator
    images = torch.rand(5, 1, 28, 28)
    hidden, last = (m for m in discriminator.modules() if isinstance(m, nn.Linear))
    weight, bias = (p.detach().numpy() for p in hidden.parameters())
    pieces = (2 * images.flatten(1).numpy() - 1) @ weight.T + bias
    units = pieces.reshape(5, 3, 4).max(2)
    expected = units @ last.weight.detach().numpy()[0] + float(last.bias.detach())
    np.testing.assert_allclose(discriminator(images).detach().numpy(), expected, atol=1e-5)
    kinds = {type(layer) for layer in discriminator.modules()}
    assert nn.Dropout in kinds and nn.LeakyReLU not in kinds


def test_output_is_the_papers_tanh() -> None:
    model = make("dcgan")
    latents = torch.randn(3, model.config.latent)
    signed = torch.tanh(model.generator.layers(latents[:, :, None, None]).double())
    assert torch.allclose(model.generator(latents).double(), (signed + 1) / 2, atol=1e-6)


def test_label_reaches_both_players() -> None:
    model = make("cgan")
    latents = torch.randn(1, model.config.latent).expand(10, -1)
    labels = torch.arange(10)
    images = model.generator(latents, labels)
    assert all(not torch.equal(images[0], image) for image in images[1:])
    scores = model.discriminator(images[:1].expand(10, -1, -1, -1), labels)
    assert len(scores.unique()) == 10
    # The class is a one-hot vector beside z: that of another class, swapped, is its image.
    weight = model.generator.layers[0].weight
    with torch.no_grad():
        rows = model.config.latent + torch.tensor([2, 7])
        weight[rows] = weight[rows.flip(0)].clone()
    again = model.generator(latents, labels)
    assert torch.allclose(again[2], images[7]) and torch.allclose(again[7], images[2])


def test_conditional_samples_go_through_the_classes() -> None:
    model = make("cgan")
    task: Any = make_task(registry.get("cgan"))
    images = torch.cat(list(task.samples(model, 25, seed=3)))
    noise = torch.Generator().manual_seed(3)
    latents = torch.randn(25, model.config.latent, generator=noise)
    for i in (0, 7, 13, 24):
        expected = model.generator(latents[i : i + 1], torch.tensor([i % 10]))
        assert torch.allclose(images[i], expected[0], atol=1e-5)


def test_real_images_of_another_class_are_told_apart() -> None:
    """Reed et al. 2016, algorithm 1: s_w is the score of a real image and a wrong label."""
    split = data.load("fashion-mnist", size=32).test
    model = make("cgan", mismatch=0.5)
    task: Any = make_task(registry.get("cgan"))
    batch = Batch(
        torch.from_numpy(split.images[:64].copy()),
        torch.from_numpy(split.labels[:64].astype(np.int64)),  # type: ignore[index]
    )
    real = task.real(model, batch)
    seen: list[Any] = []
    model.discriminator.register_forward_hook(lambda _, given, scores: seen.append((given, scores)))
    terms = task.discriminator_extra(model, batch, real, real)
    ((images, labels), scores) = seen[0]
    assert images is real and set(labels.tolist()) == set(range(10))
    assert not (labels == batch.labels).any()
    loss = -np.log1p(-torch.sigmoid(scores.double()).detach().numpy()).mean()
    assert float(terms["mismatch"].detach()) == pytest.approx(0.5 * loss, rel=1e-5)
    assert task.discriminator_extra(make("cgan", mismatch=0), batch, real, real) == {}


def test_bidirectional_pairs(fashion_mnist: DataSet) -> None:
    """The discriminator's real pair is (x, E(x)), its fake pair (G(z), z)."""
    model = make("bigan")
    task: Any = make_task(registry.get("bigan"))
    levels = torch.from_numpy(fashion_mnist.test.images[:4].copy())
    batch = Batch(levels)
    real = task.real(model, batch)
    assert torch.equal(real[:, : 28 * 28], batch.images.flatten(1))
    assert torch.allclose(real[:, 28 * 28 :], model.encoder(batch.images), atol=1e-5)
    torch.manual_seed(5)
    fake = task.fake(model, batch)
    torch.manual_seed(5)
    z = torch.randn(4, model.config.latent)
    assert torch.equal(fake[:, 28 * 28 :], z)
    assert torch.allclose(fake[:, : 28 * 28], model.generator(z).flatten(1), atol=1e-5)
    scores = task.score(model, real, batch)
    expected = model.discriminator(batch.images, model.encoder(batch.images))
    assert torch.allclose(scores, expected, atol=1e-5)
    # Both halves are judged, and E learns through the real pairs.
    other = task.score(model, torch.cat([real[:, :784], z], 1), batch)
    assert not torch.allclose(scores, other, atol=1e-5)
    terms = task.generator_extra(model, batch, fake)
    probability = torch.sigmoid(scores.double())
    loss = -np.log1p(-probability.detach().numpy()).mean()
    assert float(terms["encoder_loss"].detach()) == pytest.approx(loss, rel=1e-5)


def test_cycle_is_the_mean_difference_from_the_reconstruction(fashion_mnist: DataSet) -> None:
    """It trains both G and E; without a weight there is no term."""
    model = make("bigan", cycle=3.0)
    task: Any = make_task(registry.get("bigan"))
    batch = Batch(torch.from_numpy(fashion_mnist.test.images[:4].copy()))
    terms = task.generator_extra(model, batch, task.fake(model, batch))
    copies = model.reconstruct(batch.images).detach().double()
    expected = 3 * float((copies - batch.images).abs().mean())
    assert float(terms["cycle"].detach()) == pytest.approx(expected, rel=1e-4)
    terms["cycle"].backward()
    for network in (model.generator, model.encoder):
        assert all(p.grad is not None for p in network.parameters())
    plain = make("bigan", cycle=0)
    assert "cycle" not in task.generator_extra(plain, batch, task.fake(plain, batch))


def test_fashion_mnist_gets_a_frame() -> None:
    framed, plain = data.load("fashion-mnist", size=32), data.load("fashion-mnist")
    assert framed.image_size == 32
    assert np.array_equal(framed.train.images[:, 2:30, 2:30], plain.train.images)
    assert framed.test.images[:, :2].max() == framed.test.images[:, :, 30:].max() == 0
    assert np.array_equal(framed.test.labels, plain.test.labels)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("dcgan", {"widths": []}, "widths must be 1 or more positive integers"),
        ("dcgan", {"image_size": 28}, "image_size must be a multiple of 8 for 3 widths"),
        ("dcgan", {"classes": 10}, "has no option 'classes'"),
        ("bigan", {"joint": 0}, "joint must be a positive integer"),
        ("bigan", {"cycle": -1.0}, "cycle must be 0 or more"),
        ("cgan", {"classes": 0}, "2 or more classes, got 0"),
        ("gan", {"dropout": 1}, "dropout must be below 1"),
        ("gan", {"maxout": -1}, "maxout must be 0 or more"),
    ],
)
def test_bad_configs(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        registry.get(name).make(options)
