"""Bidirectional GAN (Donahue, Krähenbühl & Darrell 2016, arXiv:1605.09782).

Besides the generator G there is an encoder E, and the discriminator classifies pairs: (x, E(x)) as
real, (G(z), z) as fake. At the optimum of equation 3, E and G invert each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.models.dcgan import DCGANConfig, Generator, build_downsampling, initialise
from zoo.models.options import as_widths, check_counts, check_numbers


@dataclass(frozen=True)
class BiGANConfig(DCGANConfig):
    """Sizes of a `BiGAN`.

    `encoder_widths` are the output channels of the encoder's strided convolutions, `joint` the
    width of the two dense layers that combine image and latent in the discriminator. `cycle`
    weights the mean of |x - G(E(x))| over an image, which fixes what the game leaves open: which
    latent belongs to an image (Li et al. 2017, arXiv:1709.01215, section 3.1).
    """

    image_size: int = 28
    widths: tuple[int, ...] = (128, 64)
    discriminator_widths: tuple[int, ...] = (32, 64)
    encoder_widths: tuple[int, ...] = (32, 64)
    joint: int = 256
    cycle: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        as_widths(self, "encoder_widths", low=1)
        check_counts(self, "joint")
        check_numbers(self, "cycle")


class Encoder(nn.Module):
    """E: images [N, C, S, S] in [0, 1] to latents [N, D]."""

    def __init__(self, config: BiGANConfig) -> None:
        super().__init__()
        widths = config.encoder_widths
        side = config.image_size // 2 ** len(widths)
        self.features = build_downsampling(config.channels, widths)
        self.project = nn.Linear(widths[-1] * side**2, config.latent)

    def forward(self, images: Tensor) -> Tensor:
        latents: Tensor = self.project(self.features(2 * images - 1).flatten(1))
        return latents


class JointDiscriminator(nn.Module):
    """Pairs of images [N, C, S, S] and latents [N, D] to logits [N]."""

    def __init__(self, config: BiGANConfig) -> None:
        super().__init__()
        widths = config.discriminator_widths
        side = config.image_size // 2 ** len(widths)
        self.features = build_downsampling(config.channels, widths)
        self.judge = nn.Sequential(
            nn.Linear(widths[-1] * side**2 + config.latent, config.joint),
            nn.LeakyReLU(0.2),
            nn.Linear(config.joint, config.joint),
            nn.LeakyReLU(0.2),
            nn.Linear(config.joint, 1),
        )

    def forward(self, images: Tensor, latents: Tensor) -> Tensor:
        x = self.features(2 * images - 1).flatten(1)
        logits: Tensor = self.judge(torch.cat([x, latents.to(x.dtype)], 1))
        return logits.flatten()


class BiGAN(nn.Module):
    """Generator, encoder and joint discriminator."""

    prior = "normal"
    posterior = "deterministic"

    def __init__(self, config: BiGANConfig | None = None) -> None:
        super().__init__()
        self.config = config or BiGANConfig()
        self.generator = Generator(self.config)
        self.encoder = Encoder(self.config)
        self.discriminator = JointDiscriminator(self.config)
        initialise(self)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Return G(E(x)) for images [N, C, S, S]."""
        copies: Tensor = self.generator(self.encoder(images))
        return copies
