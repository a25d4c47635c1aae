"""The original generative adversarial network (Goodfellow et al. 2014, arXiv:1406.2661).

The generator G maps noise z ~ N(0, I) to an image; the discriminator D maps an image to the
probability that it is real. Both are perceptrons. They play the minimax game of equation 1, whose
optimum is p_G = p_data, D = ½.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from zoo.errors import ConfigError
from zoo.models.options import as_widths, check_counts, check_depths, check_numbers


@dataclass(frozen=True)
class GANConfig:
    """Sizes of a `GAN`: output widths of the hidden layers of G and D, from the input on.

    `dropout` is the dropout rate in the discriminator's hidden layers, and `maxout` the number of
    pieces of their maxout units, as in the paper; 0: leaky ReLU instead.
    """

    image_size: int = 28
    channels: int = 1
    latent: int = 64
    widths: tuple[int, ...] = (256, 512)
    discriminator_widths: tuple[int, ...] = (512, 256)
    dropout: float = 0.3
    maxout: int = 0

    def __post_init__(self) -> None:
        as_widths(self, "widths", low=1)
        as_widths(self, "discriminator_widths", low=1)
        check_counts(self, "image_size", "channels", "latent")
        check_numbers(self, "dropout")
        check_depths(self, "maxout")
        if self.dropout >= 1:
            raise ConfigError(f"dropout must be below 1, got {self.dropout}")


class Generator(nn.Module):
    """G: latents [N, D] to images [N, C, S, S] in [0, 1]."""

    bounded = True

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        self.shape = (config.channels, config.image_size, config.image_size)
        layers: list[nn.Module] = []
        for before, after in pairwise((config.latent, *config.widths)):
            layers += [nn.Linear(before, after), nn.ReLU()]
        pixels = config.channels * config.image_size**2
        self.layers = nn.Sequential(*layers, nn.Linear(config.widths[-1], pixels), nn.Sigmoid())

    def forward(self, latents: Tensor) -> Tensor:
        images: Tensor = self.layers(latents).unflatten(1, self.shape)
        return images


class Maxout(nn.Module):
    """Units that are the maximum of `pieces` linear functions of x [N, D].

    Goodfellow et al. 2013 (arXiv:1302.4389), section 3.
    """

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, units * pieces)
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        pieces: Tensor = self.linear(x).unflatten(1, (-1, self.pieces))
        return pieces.amax(2)


class Discriminator(nn.Module):
    """D: images [N, C, S, S] in [0, 1] to logits [N]."""

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        widths = config.discriminator_widths
        pixels = config.channels * config.image_size**2
        layers: list[nn.Module] = []
        for before, after in pairwise((pixels, *widths)):
            if config.maxout:
                layers += [Maxout(before, after, config.maxout)]
            else:
                layers += [nn.Linear(before, after), nn.LeakyReLU(0.2)]
            layers += [nn.Dropout(config.dropout)]
        self.layers = nn.Sequential(nn.Flatten(), *layers, nn.Linear(widths[-1], 1))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(2 * images - 1)
        return logits.flatten()


class GAN(nn.Module):
    """Generator and discriminator."""

    prior = "normal"

    def __init__(self, config: GANConfig | None = None) -> None:
        super().__init__()
        self.config = config or GANConfig()
        self.generator = Generator(self.config)
        self.discriminator = Discriminator(self.config)
