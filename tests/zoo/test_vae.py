"""The VAE: shapes, options, and the ELBO against NumPy."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from zoo import elbo
from zoo.data import Split
from zoo.errors import ConfigError
from zoo.models.vae import VAE, VAEConfig
from zoo.training.elbo import evaluate_elbo

SMALL = {"latent": 4, "widths": (8, 4), "encoder_widths": (4, 8)}


@pytest.mark.parametrize("size", [4, 28, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("decoder", ["bernoulli", "gaussian"])
def test_shapes(size: int, channels: int, decoder: str) -> None:
    model = VAE(VAEConfig(image_size=size, channels=channels, decoder=decoder, **SMALL))
    images = torch.rand(3, channels, size, size)
    mu, logvar = model.encoder(images)
    assert mu.shape == logvar.shape == (3, 4)
    assert model.decoder(mu).shape == images.shape
    assert model.reconstruct(images).shape == images.shape
    generated = model.generate(torch.randn(5, 4))
    assert generated.shape == (5, *images.shape[1:])
    assert 0 <= generated.min() and generated.max() <= 1
    terms = model.terms(images)
    assert terms.reconstruction.shape == terms.kl.shape == (3,)


def test_the_default_is_small_enough_to_ship() -> None:
    model = VAE()
    count = sum(parameter.numel() for parameter in model.parameters())
    # Twice two bytes a weight: in the engine files and in the safetensors file.
    assert count * 4 <= 1.9e6
    assert sum(p.numel() for p in model.decoder.parameters()) == 202_177


def test_bernoulli_terms_against_numpy() -> None:
    torch.manual_seed(0)
    model = VAE(VAEConfig(image_size=8, **SMALL)).double()
    images, noise = torch.rand(5, 1, 8, 8).double(), torch.randn(5, 4).double()
    with torch.no_grad():
        mu, logvar = (part.numpy() for part in model.encoder(images))
        latents = mu + np.exp(logvar / 2) * noise.numpy()
        means = model.decoder(torch.from_numpy(latents)).numpy()
        terms = model.terms(images, noise)
    x = images.numpy()
    expected = -(x * np.log(means) + (1 - x) * np.log(1 - means)).sum((1, 2, 3))
    kl = 0.5 * (mu**2 + np.exp(logvar) - 1 - logvar).sum(1)
    assert terms.reconstruction.numpy() == pytest.approx(expected, rel=1e-5)
    assert terms.kl.numpy() == pytest.approx(kl, rel=1e-5)


def test_gaussian_reconstruction_is_the_log_density() -> None:
    torch.manual_seed(0)
    sigma = 0.3
    model = VAE(VAEConfig(image_size=8, decoder="gaussian", sigma=sigma, **SMALL))
    images, noise = torch.rand(5, 1, 8, 8), torch.randn(5, 4)
    with torch.no_grad():
        mu, logvar = model.encoder(images)
        mean = model.decoder(mu + torch.exp(logvar / 2) * noise)
        terms = model.terms(images, noise)
    density = torch.distributions.Normal(mean, sigma).log_prob(images)
    assert torch.allclose(terms.reconstruction, -density.sum((1, 2, 3)), rtol=1e-4)


def test_beta_weighs_the_kl() -> None:
    model = VAE(VAEConfig(image_size=8, beta=4.0, **SMALL))
    images, noise = torch.rand(6, 1, 8, 8), torch.randn(6, 4)
    with torch.no_grad():
        losses, terms = model(images, noise), model.terms(images, noise)
    assert losses["loss"] == losses["reconstruction"] + 4 * losses["kl"]
    assert losses["kl"] == terms.kl.mean()


def test_extreme_logits_stay_finite() -> None:
    model = VAE(VAEConfig(image_size=8, **SMALL))
    with torch.no_grad():
        model.decoder.layers[-1].bias.fill_(1e4)
    terms = model.terms(torch.zeros(2, 1, 8, 8))
    assert torch.isfinite(terms.reconstruction).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 30}, "multiple of 4 for 2 widths, got 30"),
        ({"image_size": 0}, "image_size must be a positive integer"),
        ({"channels": -1}, "channels"),
        ({"latent": 2.5}, "latent must be a positive integer, got 2.5"),
        ({"latent": True}, "latent"),
        ({"widths": ()}, "widths must be 1 or more positive integers"),
        ({"encoder_widths": (0, 4)}, "encoder_widths"),
        ({"encoder_blocks": -1}, "encoder_blocks"),
        ({"decoder": "poisson"}, "'bernoulli' or 'gaussian', got 'poisson'"),
        ({"sigma": 0.0}, "sigma"),
        ({"beta": math.nan}, "beta"),
    ],
)
def test_bad_config(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VAEConfig(**options)


def test_widths_from_json_are_equal() -> None:
    assert VAEConfig(widths=[64, 32]) == VAEConfig()  # type: ignore[arg-type]


@pytest.fixture
def split() -> Split:
    return Split(np.random.default_rng(1).integers(0, 256, (50, 8, 8, 1), np.uint8))


def test_elbo_is_the_mean_of_the_terms(split: Split) -> None:
    torch.manual_seed(0)
    model = VAE(VAEConfig(image_size=8, beta=7.0, **SMALL))
    measured = evaluate_elbo(model, split, seed=3)
    noise = torch.randn(50, 4, generator=torch.Generator().manual_seed(3))
    images = torch.from_numpy(split.images[..., 0]).float()[:, None] / 255
    with torch.no_grad():
        terms = model.terms(images, noise)
    assert measured["reconstruction"] == pytest.approx(float(terms.reconstruction.mean()), rel=1e-6)
    assert measured["kl"] == pytest.approx(float(terms.kl.mean()), rel=1e-6)
    assert measured["nelbo"] == measured["reconstruction"] + measured["kl"]


def test_elbo_depends_on_the_seed_only(split: Split) -> None:
    torch.manual_seed(0)
    model = VAE(VAEConfig(image_size=8, **SMALL))
    before = torch.get_rng_state()
    first = evaluate_elbo(model, split)
    assert torch.equal(before, torch.get_rng_state())
    assert evaluate_elbo(model, split) == first
    assert evaluate_elbo(model, split, batch=7)["nelbo"] == pytest.approx(first["nelbo"], rel=1e-6)
    assert evaluate_elbo(model, split, seed=1)["reconstruction"] != first["reconstruction"]
    assert evaluate_elbo(model, split, samples=3)["kl"] == pytest.approx(first["kl"])


def test_the_command_takes_names_of_shipped_engines(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1), np.uint8)
    np.savez(tmp_path / "set.npz", images=images)
    data = ["--data", str(tmp_path / "set.npz"), "--split", "train"]
    results = [CliRunner().invoke(elbo.main, [name, *data]) for name in ("vae", "vae.onnx")]
    assert all(result.exit_code == 0 for result in results), results[0].output
    assert results[0].output == results[1].output and "vae.onnx: " in results[0].output
