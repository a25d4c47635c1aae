"""Deep convolutional GAN (Radford, Metz & Chintala 2015, arXiv:1511.06434), and its relatives.

The paper's guidelines: strided and transposed convolutions instead of pooling, batch normalisation
in both networks, no hidden dense layers, ReLU in the generator, LeakyReLU in the discriminator,
weights of N(0, 0.02²). `ConditionalDCGAN` is a conditional GAN (Mirza & Osindero 2014,
arXiv:1411.1784) of the same layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import ConfigError
from zoo.models.options import as_widths, check_counts, check_halvings, check_numbers


@dataclass(frozen=True)
class DCGANConfig:
    """Sizes of a `DCGAN`.

    `widths` are the channels of the generator's feature maps, smallest map first; each step doubles
    the side, up to `image_size`, which must be a multiple of 2 to the number of widths.
    `discriminator_widths` are the channels of the discriminator's maps, largest map first.
    """

    image_size: int = 32
    channels: int = 1
    latent: int = 64
    widths: tuple[int, ...] = (128, 64, 32)
    discriminator_widths: tuple[int, ...] = (32, 64, 128)

    def __post_init__(self) -> None:
        as_widths(self, "widths", low=1)
        as_widths(self, "discriminator_widths", low=1)
        check_counts(self, "image_size", "channels", "latent")
        check_halvings(self, "widths", "discriminator_widths")


@dataclass(frozen=True)
class ConditionalConfig(DCGANConfig):
    """Sizes of a `ConditionalDCGAN`; `classes` is the number of classes.

    `mismatch` weights a loss term for real images with a wrong label, which the discriminator
    learns to reject (Reed et al. 2016, arXiv:1605.05396, algorithm 1).
    """

    classes: int = 0
    mismatch: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, "mismatch")
        if not isinstance(self.classes, int) or self.classes < 2:
            raise ConfigError(
                f"a conditional model needs a data set of 2 or more classes, got {self.classes}"
            )


def initialise(module: nn.Module) -> None:
    """Initialise weights to N(0, 0.02²), scales to N(1, 0.02²) and biases to 0, as in the paper."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)


def build_upsampling(latent: int, config: DCGANConfig) -> nn.Sequential:
    """Build the layers from [N, latent, 1, 1] to images [N, C, S, S] before the activation."""
    widths = config.widths
    side = config.image_size // 2 ** len(widths)
    layers: list[nn.Module] = [
        nn.ConvTranspose2d(latent, widths[0], side, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(),
    ]
    for before, after in pairwise(widths):
        layers += [
            nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
    last = nn.ConvTranspose2d(widths[-1], config.channels, 4, stride=2, padding=1)
    return nn.Sequential(*layers, last)


def build_downsampling(channels: int, widths: tuple[int, ...]) -> nn.Sequential:
    """Build strided convolutions of images [N, channels, S, S]; the first is not normalised."""
    layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 4, 2, 1), nn.LeakyReLU(0.2)]
    for before, after in pairwise(widths):
        layers += [
            nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.LeakyReLU(0.2),
        ]
    return nn.Sequential(*layers)


class Generator(nn.Module):
    """Latents [N, D] to images [N, C, S, S] in [0, 1].

    The paper's tanh, rescaled from [-1, 1] to [0, 1], is the logistic function of twice its
    argument.
    """

    bounded = True

    def __init__(self, config: DCGANConfig) -> None:
        super().__init__()
        self.layers = build_upsampling(config.latent, config)

    def forward(self, latents: Tensor) -> Tensor:
        return torch.sigmoid(2 * self.layers(latents[:, :, None, None]))


class Discriminator(nn.Module):
    """Images [N, C, S, S] in [0, 1] to logits [N]."""

    def __init__(self, config: DCGANConfig, channels: int | None = None) -> None:
        super().__init__()
        widths = config.discriminator_widths
        self.features = build_downsampling(channels or config.channels, widths)
        self.project = nn.Conv2d(widths[-1], 1, config.image_size // 2 ** len(widths))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.project(self.features(2 * images - 1))
        return logits.flatten()


class DCGAN(nn.Module):
    """Generator and discriminator."""

    prior = "normal"

    def __init__(self, config: DCGANConfig | None = None) -> None:
        super().__init__()
        self.config = config or DCGANConfig()
        self.generator = Generator(self.config)
        self.discriminator = Discriminator(self.config)
        initialise(self)


class ConditionalGenerator(nn.Module):
    """Latents [N, D] and classes int64 [N] to images; the one-hot class extends the latent."""

    bounded = True

    def __init__(self, config: ConditionalConfig) -> None:
        super().__init__()
        self.classes = config.classes
        self.layers = build_upsampling(config.latent + config.classes, config)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        condition = F.one_hot(labels, self.classes).to(latents.dtype)
        x = torch.cat([latents, condition], 1)
        return torch.sigmoid(2 * self.layers(x[:, :, None, None]))


class ConditionalDiscriminator(nn.Module):
    """Images and classes to logits [N]; the one-hot class becomes constant image channels."""

    def __init__(self, config: ConditionalConfig) -> None:
        super().__init__()
        self.classes = config.classes
        self.judge = Discriminator(config, config.channels + config.classes)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        condition = F.one_hot(labels, self.classes).to(images.dtype)
        planes = condition[:, :, None, None].expand(-1, -1, *images.shape[2:])
        logits: Tensor = self.judge(torch.cat([images, planes], 1))
        return logits


class ConditionalDCGAN(nn.Module):
    """Generator and discriminator, both conditioned on the class."""

    prior = "normal"

    def __init__(self, config: ConditionalConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = ConditionalGenerator(config)
        self.discriminator = ConditionalDiscriminator(config)
        initialise(self)
