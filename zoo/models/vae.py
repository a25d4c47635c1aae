"""Convolutional variational autoencoder (Kingma & Welling 2013, arXiv:1312.6114).

The encoder maps an image to a diagonal Gaussian q(h | x) = N(μ, σ²), the decoder a latent vector to
the mean of p(x | h). Training minimises the negative evidence lower bound (ELBO, equation 3), with
the KL term weighted by β (Higgins et al. 2017; β = 1 is the bound itself).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.models.options import (
    as_widths,
    check_choice,
    check_counts,
    check_depths,
    check_halvings,
    check_numbers,
)


@dataclass(frozen=True)
class VAEConfig:
    """Sizes and options of a `VAE`.

    `image_size` is the side of a square image in pixels (a multiple of 2 to the number of strided
    layers), `channels` its number of channels, `latent` the width D of h. `widths` are the output
    channels of the decoder's transposed convolutions, `encoder_widths` those of the encoder's
    strided convolutions, which `encoder_blocks` residual blocks follow. `decoder` is the family of
    p(x | h): "bernoulli", with intensities in [0, 1] as probabilities, or "gaussian" with fixed
    standard deviation `sigma`. Raises `ConfigError` for invalid values.
    """

    image_size: int = 28
    channels: int = 1
    latent: int = 32
    widths: tuple[int, ...] = (64, 32)
    encoder_widths: tuple[int, ...] = (32, 64)
    encoder_blocks: int = 1
    decoder: Literal["bernoulli", "gaussian"] = "bernoulli"
    sigma: float = 0.1
    beta: float = 1.0

    def __post_init__(self) -> None:
        as_widths(self, "widths", low=1)
        as_widths(self, "encoder_widths", low=1)
        check_counts(self, "image_size", "channels", "latent")
        check_halvings(self, "widths", "encoder_widths")
        check_depths(self, "encoder_blocks")
        check_choice(self, "decoder", "bernoulli", "gaussian")
        check_numbers(self, "sigma", positive=True)
        check_numbers(self, "beta")


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(relu(x)))) with 3×3 convolutions, on [N, width, H, W]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(F.relu(x))))


class Encoder(nn.Module):
    """q(h | x): images [N, C, S, S] in [0, 1] to (mu, logvar), each [N, D]."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        widths = config.encoder_widths
        high, side = widths[-1], config.image_size // 2 ** len(widths)
        narrow = max(high // 2, 1)
        strided: list[nn.Module] = []
        for before, after in pairwise((config.channels, *widths)):
            strided += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.ReLU(inplace=True)]
        self.features = nn.Sequential(
            *strided[:-1],  # the blocks begin with a ReLU of their own
            *(ResidualBlock(high) for _ in range(config.encoder_blocks)),
            nn.ReLU(inplace=True),
            nn.Conv2d(high, narrow, 1),
            nn.ReLU(inplace=True),
        )
        self.project = nn.Linear(narrow * side * side, 2 * config.latent)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mu, logvar = self.project(self.features(images).flatten(1)).chunk(2, dim=1)
        return mu, logvar


class Decoder(nn.Module):
    """p(x | h): latents [N, D] to mean images [N, C, S, S].

    The mean is in [0, 1] for a Bernoulli decoder and unbounded for a Gaussian one.
    """

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.bounded = config.decoder == "bernoulli"
        widths = config.widths
        self.side, self.width = config.image_size // 2 ** len(widths), widths[0]
        self.project = nn.Linear(config.latent, self.width * self.side * self.side)
        layers: list[nn.Module] = [nn.ReLU(inplace=True)]
        for before, after in pairwise((self.width, *widths)):
            layers += [
                nn.ConvTranspose2d(before, after, 4, stride=2, padding=1),
                nn.ReLU(inplace=True),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], config.channels, 3, padding=1))

    def logits(self, latents: Tensor) -> Tensor:
        """Return the last layer's output: log odds for Bernoulli, the mean for Gaussian."""
        grid = self.project(latents).reshape(-1, self.width, self.side, self.side)
        result: Tensor = self.layers(grid)
        return result

    def forward(self, latents: Tensor) -> Tensor:
        logits = self.logits(latents)
        return torch.sigmoid(logits) if self.bounded else logits


class Terms(NamedTuple):
    """Negative ELBO of each image in nats, [N]: -E[log p(x | h)] and KL(q || p)."""

    reconstruction: Tensor
    kl: Tensor


class VAE(nn.Module):
    """Encoder and decoder of a variational autoencoder; `forward` returns the training loss."""

    prior = "normal"
    posterior = "gaussian"

    def __init__(self, config: VAEConfig | None = None) -> None:
        super().__init__()
        self.config = config or VAEConfig()
        self.encoder = Encoder(self.config)
        self.decoder = Decoder(self.config)

    def terms(self, images: Tensor, noise: Tensor | None = None) -> Terms:
        """Return the ELBO's two terms for images [N, C, S, S] in [0, 1], with one sample of h each.

        `noise` [N, D] is ε of h = μ + σ·ε (section 2.4), by default drawn from PyTorch's generator.
        The KL is the closed form of appendix B.
        """
        mu, logvar = (part.float() for part in self.encoder(images))
        epsilon = torch.randn_like(mu) if noise is None else noise
        logits = self.decoder.logits(mu + torch.exp(0.5 * logvar) * epsilon).float()
        if self.config.decoder == "bernoulli":
            pixels = F.binary_cross_entropy_with_logits(logits, images, reduction="none")
        else:
            variance = self.config.sigma**2
            constant = 0.5 * math.log(2 * math.pi * variance)
            pixels = (logits - images).square() / (2 * variance) + constant
        kl = -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum(1)
        return Terms(pixels.flatten(1).sum(1), kl)

    def loss(self, images: Tensor, noise: Tensor | None = None) -> dict[str, Tensor]:
        """Return the batch means, nats per image: reconstruction, kl, loss (with β on the KL)."""
        terms = self.terms(images, noise)
        reconstruction, kl = terms.reconstruction.mean(), terms.kl.mean()
        loss = reconstruction + self.config.beta * kl
        return {"loss": loss, "reconstruction": reconstruction, "kl": kl}

    def forward(self, images: Tensor, noise: Tensor | None = None) -> dict[str, Tensor]:
        """Return `loss(images, noise)`, for wrappers that call the module."""
        return self.loss(images, noise)

    @torch.no_grad()
    def reconstruct(self, images: Tensor) -> Tensor:
        """Return the decoded posterior means, [N, C, S, S], clipped to [0, 1]."""
        mean: Tensor = self.decoder(self.encoder(images)[0])
        return mean.clamp(0, 1)

    @torch.no_grad()
    def generate(self, latents: Tensor) -> Tensor:
        """Return the mean images of latents [N, D] drawn from the prior, clipped to [0, 1]."""
        mean: Tensor = self.decoder(latents)
        return mean.clamp(0, 1)
