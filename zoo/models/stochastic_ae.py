"""Stochastic autoencoder: both p_encoder(h | x) and p_decoder(x | h) are learned distributions.

*Deep Learning*, section 14.4. Training maximises E[log p_decoder(x | h)], h ~ p_encoder(h | x).
Unlike a VAE it has no prior on h, so it cannot be sampled from, and the encoder's spread shrinks to
a level that the decoder does not notice.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo.models.autoencoder import Autoencoder, DenseConfig, DenseDecoder, DenseEncoder


class GaussianEncoder(nn.Module):
    """p_encoder(h | x) = N(μ(x), σ²(x)): images [N, C, S, S] to (mu, logvar), each [N, D]."""

    def __init__(self, config: DenseConfig) -> None:
        super().__init__()
        doubled = DenseConfig(config.image_size, config.channels, 2 * config.latent, config.hidden)
        self.features = DenseEncoder(doubled)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mu, logvar = self.features(images).chunk(2, dim=1)
        return mu, logvar


class StochasticAE(Autoencoder):
    """Autoencoder with p_decoder(x | h) = N(g(h), s²) and a learned `log_spread`, log s."""

    posterior = "gaussian"

    def __init__(self, config: DenseConfig | None = None) -> None:
        super().__init__(config or DenseConfig(latent=16, hidden=(128,)))
        self.encoder = GaussianEncoder(self.config)
        self.decoder = DenseDecoder(self.config)
        self.log_spread = nn.Parameter(torch.tensor(math.log(0.2)))

    def log_likelihood(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return log p_decoder(x | h) of each image in nats, [N], for one sample of h.

        `noise` [N, D] is ε. The density of continuous pixels in [0, 1] can exceed 1, and its log 0.
        """
        mu, logvar = (part.float() for part in self.encoder(images))
        epsilon = torch.randn_like(mu) if noise is None else noise
        mean = self.decoder(mu + torch.exp(0.5 * logvar) * epsilon).float()
        squared = (mean - images).square().flatten(1)
        scale = self.log_spread.float()
        pixels = -0.5 * squared * torch.exp(-2 * scale) - scale - 0.5 * math.log(2 * math.pi)
        return pixels.sum(1)

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """Return the batch means per image: loss = −log p_decoder(x | h), and the spread s."""
        return {
            "loss": -self.log_likelihood(images).mean(),
            "spread": self.log_spread.detach().exp(),
        }

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Return the means of h, [N, D]."""
        mu: Tensor = self.encoder(images)[0]
        return mu

    @torch.no_grad()
    def measure(self, images: Tensor) -> dict[str, Tensor]:
        """Return mse of the decoded means, log_likelihood (fixed noise), encoder_spread, spread."""
        generator = torch.Generator().manual_seed(0)
        size = (len(images), self.config.latent)
        noise = torch.randn(size, generator=generator).to(images.device)
        logvar = self.encoder(images)[1]
        return {
            **super().measure(images),
            "log_likelihood": self.log_likelihood(images, noise),
            "encoder_spread": (0.5 * logvar).exp().mean(1),
            "spread": self.log_spread.exp().expand(len(images)),
        }
