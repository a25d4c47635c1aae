"""The autoencoder family: shapes, penalties and likelihoods against formulas in NumPy float64."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch

from updates import Updates
from zoo.data import DataSet, Split
from zoo.errors import ConfigError
from zoo.models import registry
from zoo.models.autoencoder import DenseConfig
from zoo.models.contractive_ae import ContractiveAE, ContractiveConfig
from zoo.models.linear_ae import LinearAE
from zoo.models.overcomplete_ae import OvercompleteAE, OvercompleteConfig
from zoo.models.sparse_ae import SparseAE, SparseConfig, kl_sparsity
from zoo.models.stacked_ae import StackedAE, StackedConfig
from zoo.models.stochastic_ae import StochasticAE
from zoo.training.recipe import Recipe
from zoo.training.reconstruction import ReconstructionTask, StackedTask, evaluate_autoencoder
from zoo.training.task import Batch, make_task

FAMILY = [
    "linear-ae",
    "undercomplete-ae",
    "overcomplete-ae",
    "stacked-ae",
    "sparse-ae",
    "sparse-ae-kl",
    "contractive-ae",
    "stochastic-ae",
]


@pytest.fixture(scope="module")
def some(fashion_mnist: DataSet) -> DataSet:
    """A data set of 2,000 training and 500 test images of Fashion-MNIST."""
    train, test = fashion_mnist.train, fashion_mnist.test
    assert train.labels is not None and test.labels is not None
    return DataSet(
        "some",
        Split(train.images[:2000], train.labels[:2000]),
        Split(test.images[:500], test.labels[:500]),
        fashion_mnist.classes,
    )


def pixels(split: Split) -> torch.Tensor:
    return torch.from_numpy(split.images.transpose(0, 3, 1, 2) / np.float32(255))


@pytest.mark.parametrize("bounded", [True, False])
def test_columns_of_a_sparse_decoder_are_held_to_unit_norm(bounded: bool, some: DataSet) -> None:
    torch.manual_seed(0)
    model = SparseAE(SparseConfig(latent=32, unit_columns=bounded))
    (optimizer,) = ReconstructionTask().optimizers(model, Recipe(learning_rate=0.02))
    images = pixels(some.train)[:200]
    for _ in range(20):
        optimizer.zero_grad()
        model(images)["loss"].backward()
        optimizer.step()
        norms = model.decoder.layers[0].weight.detach().norm(dim=0)
        assert len(norms) == 32 and (not bounded or norms.max() <= 1 + 1e-5)
    assert norms.max() > 0.999 if bounded else norms.max() > 1.1


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize(("size", "channels"), [(28, 1), (16, 3)])
def test_shapes(name: str, size: int, channels: int) -> None:
    options = {"image_size": size, "channels": channels}
    if name == "overcomplete-ae":
        options["features"] = 4 * channels
    model: Any = registry.get(name).make(options)
    images = torch.rand(3, channels, size, size)
    h = model.encode(images)
    assert h.shape == (3, model.config.latent)
    assert model.reconstruct(images).shape == model.decoder(h).shape == images.shape
    assert all(values.shape == (3,) for values in model.measure(images).values())
    assert model.prior == "none"
    assert registry.get(name).make(asdict(model.config)).config == model.config


@pytest.mark.parametrize("name", FAMILY)
def test_a_few_steps_on_real_images_lower_the_loss(name: str, some: DataSet) -> None:
    torch.manual_seed(0)
    task: Any = make_task(registry.get(name))
    model: Any = registry.get(name).make()
    update = Updates(task.optimizers(model, Recipe(learning_rate=1e-3)))
    levels = torch.from_numpy(np.array(some.train.images[:500]))
    before = evaluate_autoencoder(model, some.test)
    losses = [float(task.step(model, Batch(levels), update)["loss"].detach()) for _ in range(30)]
    after = evaluate_autoencoder(model, some.test)
    assert losses[-1] < 0.8 * losses[0] if losses[0] > 0 else losses[-1] < losses[0]
    assert after["mse"] < 0.8 * before["mse"]


@pytest.mark.parametrize("name", FAMILY)
def test_error_is_the_squared_distance(name: str, some: DataSet) -> None:
    torch.manual_seed(1)
    model: Any = registry.get(name).make()
    measured = evaluate_autoencoder(model, some.test)
    x = some.test.images.astype(np.float64).transpose(0, 3, 1, 2) / 255
    r = model.reconstruct(pixels(some.test)).numpy().astype(np.float64)
    assert measured["mse"] == pytest.approx(((r - x) ** 2).mean(), rel=1e-4)
    assert measured["psnr"] == pytest.approx(-10 * np.log10(measured["mse"]))


def test_loss_of_a_plain_autoencoder_is_summed_over_the_image() -> None:
    torch.manual_seed(0)
    model = LinearAE(DenseConfig(image_size=4, latent=3))
    images = torch.rand(6, 1, 4, 4)
    w, b = (model.encoder.layers[0].weight, model.encoder.layers[0].bias)
    v, c = (model.decoder.layers[0].weight, model.decoder.layers[0].bias)
    weights = [tensor.detach().double().numpy() for tensor in (w, b, v, c)]
    x = images.double().numpy().reshape(6, 16)
    r = (x @ weights[0].T + weights[1]) @ weights[2].T + weights[3]
    expected = ((r - x) ** 2).sum(1).mean()
    assert float(model(images)["loss"].detach()) == pytest.approx(expected, rel=1e-5)


def test_kl_sparsity_against_numpy() -> None:
    random = np.random.default_rng(0)
    activations = random.uniform(0.01, 0.99, (7, 5))
    rho, mean = 0.05, activations.mean(0)
    expected = (rho * np.log(rho / mean) + (1 - rho) * np.log((1 - rho) / (1 - mean))).sum()
    assert float(kl_sparsity(torch.from_numpy(activations), rho)) == pytest.approx(expected)
    on_target = torch.full((4, 3), rho, dtype=torch.float64)
    assert float(kl_sparsity(on_target, rho)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("sparsity", ["l1", "kl"])
def test_sparsity_penalty(sparsity: str) -> None:
    torch.manual_seed(0)
    model = SparseAE(SparseConfig(image_size=6, latent=9, sparsity=sparsity, strength=0.7))
    images = torch.rand(8, 1, 6, 6)
    weight, bias = (
        tensor.detach().double().numpy()
        for tensor in (model.encoder.layers[0].weight, model.encoder.layers[0].bias)
    )
    a = images.double().numpy().reshape(8, -1) @ weight.T + bias
    if sparsity == "l1":
        expected = 0.7 * np.maximum(a, 0).sum(1).mean()
    else:
        mean = (1 / (1 + np.exp(-a))).mean(0)
        kl = 0.05 * np.log(0.05 / mean) + 0.95 * np.log(0.95 / (1 - mean))
        expected = 0.7 * kl.sum()
    losses = model(images)
    assert float(losses["penalty"].detach()) == pytest.approx(expected, rel=1e-5)
    assert losses["loss"].detach() == losses["error"].detach() + losses["penalty"].detach()


def test_exact_jacobian_norm_against_autograd() -> None:
    torch.manual_seed(0)
    model = ContractiveAE(ContractiveConfig(image_size=5, latent=6)).double()
    images = torch.rand(4, 1, 5, 5, dtype=torch.float64)
    for image, norm in zip(images, model.jacobian_norm(images), strict=True):
        jacobian: Any = torch.autograd.functional.jacobian(model.encoder, image[None])
        assert float(norm) == pytest.approx(float(jacobian.square().sum()), rel=1e-5)


def test_estimated_jacobian_norm_is_unbiased() -> None:
    torch.manual_seed(0)
    deep = ContractiveAE(ContractiveConfig(image_size=5, latent=6, hidden=(12,)))
    image = torch.rand(1, 1, 5, 5)
    jacobian: Any = torch.autograd.functional.jacobian(deep.encoder, image)
    exact = float(jacobian.square().sum())
    draws = deep.jacobian_norm(image.expand(20_000, -1, -1, -1)).detach().double().numpy()
    error = draws.std() / np.sqrt(len(draws))
    assert draws.mean() == pytest.approx(exact, abs=4 * error)
    assert error < 0.05 * exact


@pytest.mark.parametrize("regulariser", ["none", "denoising", "sparse"])
def test_regularisers_of_the_overcomplete_autoencoder(regulariser: Any) -> None:
    torch.manual_seed(0)
    model = OvercompleteAE(OvercompleteConfig(6, regulariser=regulariser, strength=0.7))
    images = torch.rand(8, 1, 6, 6)
    torch.manual_seed(1)
    noise = torch.randn_like(images) * (regulariser == "denoising")
    torch.manual_seed(1)
    losses = {name: float(value.detach()) for name, value in model(images).items()}
    with torch.no_grad():
        h = model.encoder(images + 0.7 * noise)
        error = (model.decoder(h) - images).square().sum((1, 2, 3)).mean()
    penalty = 0.7 * float(h.abs().sum(1).mean()) * (regulariser == "sparse")
    assert losses["error"] == pytest.approx(float(error), rel=1e-5)
    assert losses["loss"] == pytest.approx(float(error) + penalty, rel=1e-5)


def test_log_likelihood_is_the_density() -> None:
    torch.manual_seed(0)
    model = StochasticAE(DenseConfig(image_size=6, latent=4, hidden=(8,)))
    images, noise = torch.rand(5, 1, 6, 6), torch.randn(5, 4)
    with torch.no_grad():
        mu, logvar = model.encoder(images)
        mean = model.decoder(mu + torch.exp(logvar / 2) * noise)
        found = model.log_likelihood(images, noise)
    density = torch.distributions.Normal(mean, model.log_spread.exp()).log_prob(images)
    assert torch.allclose(found, density.sum((1, 2, 3)).detach(), rtol=1e-4)


def test_pretraining_visits_every_layer_and_helps(some: DataSet) -> None:
    task, recipe = StackedTask(), Recipe(learning_rate=1e-3, batch_size=100)
    torch.manual_seed(0)
    model = StackedAE(StackedConfig(pretrain_epochs=4))
    start = {name: value.clone() for name, value in model.state_dict().items()}
    before = evaluate_autoencoder(model, some.test)["mse"]
    lines = task.prepare(model, some, recipe)
    assert [(line["layer"], line["epoch"]) for line in lines] == [
        (layer, epoch) for layer in (1, 2, 3, 4) for epoch in (1, 2, 3, 4)
    ]
    for layer in (1, 2, 3, 4):
        errors = [line["mse"] for line in lines if line["layer"] == layer]
        assert errors[-1] < errors[0]
    changed = [n for n, value in model.state_dict().items() if not torch.equal(value, start[n])]
    assert len(changed) == len(start)
    assert evaluate_autoencoder(model, some.test)["mse"] < 0.7 * before


def test_pretrained_layers_are_inverse_pairs() -> None:
    model = StackedAE(StackedConfig(image_size=4, hidden=(9, 7), latent=3))
    shapes = [(down[0].in_features, up[0].out_features) for down, up in model.pairs()]
    assert shapes == [(16, 16), (9, 9), (7, 7)]
    images = torch.rand(2, 1, 4, 4)
    x = images.flatten(1)
    pairs = list(model.pairs())
    for down, _ in pairs:
        x = down(x)
    assert torch.equal(x, model.encoder(images))
    for _, up in reversed(pairs):
        x = up(x)
    assert torch.equal(x.reshape(images.shape), model.decoder(model.encoder(images)))


def test_without_pretraining_nothing_changes(some: DataSet) -> None:
    model = StackedAE(StackedConfig())
    start = [parameter.clone() for parameter in model.parameters()]
    assert StackedTask().prepare(model, some, Recipe()) == []
    assert all(torch.equal(a, b) for a, b in zip(start, model.parameters(), strict=True))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("linear-ae", {"latent": 0}, "latent must be a positive integer, got 0"),
        ("undercomplete-ae", {"latent": 784}, "latent must be below the image size of 784"),
        ("undercomplete-ae", {"hidden": (0,)}, "hidden must be 0 or more positive integers"),
        ("overcomplete-ae", {"features": 3}, "features must be at least 4"),
        ("overcomplete-ae", {"regulariser": "magic"}, "'sparse', got 'magic'"),
        ("overcomplete-ae", {"image_size": 27}, "image_size must be even"),
        ("stacked-ae", {"pretrain_epochs": -1}, "pretrain_epochs must be 0 or more"),
        ("sparse-ae", {"sparsity": "l0"}, "'l1' or 'kl', got 'l0'"),
        ("sparse-ae-kl", {"rho": 1.0}, "rho must be below 1"),
        ("sparse-ae-kl", {"rho": 0}, "rho must be positive"),
        ("contractive-ae", {"strength": float("nan")}, "strength must be 0 or more"),
        ("contractive-ae", {"strength": -0.1}, "strength must be 0 or more"),
    ],
)
def test_bad_config(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        registry.get(name).make(options)
