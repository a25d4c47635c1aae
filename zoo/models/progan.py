"""Progressive growing of GANs (Karras et al. 2017, arXiv:1710.10196).

The networks of table 2 with fewer channels: pixelwise feature normalisation in the generator,
minibatch standard deviation in the discriminator, equalised learning rates in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from zoo.errors import ConfigError
from zoo.models.equalised import (
    DownsampledConv2d,
    EqualisedConv2d,
    EqualisedLinear,
    UpsampledConv2d,
)
from zoo.models.growth import (
    SMALLEST,
    Growth,
    as_schedule,
    blend,
    count_resolutions,
    enlarge,
    reduce,
)
from zoo.models.options import as_widths, check_counts
from zoo.models.style_layers import MinibatchDeviation, PixelNorm, full_precision


@dataclass(frozen=True)
class ProGANConfig:
    """Sizes of a `ProGAN`, and its growing schedule.

    `widths` are the channels of the generator's feature maps from 4×4 to `image_size`, a power of
    2; `discriminator_widths` those of the discriminator, largest map first. Each resolution but the
    last is trained for `stable_images`, and each but the first is faded in over `fade_images`: one
    number for all, or one for each (800,000 in the paper). If both are 0 the networks do not grow.
    """

    image_size: int = 64
    channels: int = 3
    latent: int = 64
    widths: tuple[int, ...] = (128, 128, 64, 32, 16)
    discriminator_widths: tuple[int, ...] = (16, 32, 64, 128, 128)
    stable_images: tuple[int, ...] = (800_000,)
    fade_images: tuple[int, ...] = (800_000,)

    def __post_init__(self) -> None:
        check_counts(self, "image_size", "channels", "latent")
        count = count_resolutions(self.image_size)
        for name in ("widths", "discriminator_widths"):
            as_widths(self, name, low=1)
            if len(getattr(self, name)) != count:
                raise ConfigError(
                    f"{name} must be {count} integers for images of side {self.image_size}, "
                    f"got {len(getattr(self, name))}"
                )
        for name in ("stable_images", "fade_images"):
            as_schedule(self, name, count - 1)

    def growth(self) -> Growth:
        return Growth(self.stable_images, self.fade_images)


class Generator(nn.Module):
    """Latents [N, D] to images [N, C, S, S], approximately in [0, 1].

    While the network grows, the images are upsampled from the current resolution.
    """

    bounded = False

    def __init__(self, config: ProGANConfig) -> None:
        super().__init__()
        self.side, widths = config.image_size, config.widths
        self.growth = config.growth()
        start = nn.Sequential(
            PixelNorm(),
            EqualisedLinear(config.latent, widths[0] * SMALLEST**2),
            nn.Unflatten(1, (widths[0], SMALLEST, SMALLEST)),
            nn.LeakyReLU(0.2),
            PixelNorm(),
            *_with_norm(EqualisedConv2d(widths[0], widths[0], 3)),
        )
        self.blocks = nn.ModuleList([start])
        for before, after in pairwise(widths):
            layers = UpsampledConv2d(before, after), EqualisedConv2d(after, after, 3)
            self.blocks.append(nn.Sequential(*_with_norm(layers[0]), *_with_norm(layers[1])))
        self.to_rgb = nn.ModuleList(ToRGB(width, config.channels) for width in widths)

    def forward(self, latents: Tensor) -> Tensor:
        return enlarge(self.forward_stage(latents), self.side)

    def forward_stage(self, latents: Tensor) -> Tensor:
        """Return the images at the current resolution."""
        level, alpha = self.growth.stage()
        before = x = latents
        for block in self.blocks[: level + 1]:
            before, x = x, block(x)
        images: Tensor = self.to_rgb[level](x)
        return images if alpha == 1 else blend(self.to_rgb[level - 1](before), images, alpha)

    def fold(self) -> nn.Module:
        """Return the fully grown network (see `fold`); raises `ConfigError` while it is growing.

        A network that has seen no images counts as fully grown.
        """
        self.growth.check_whole()
        layers = [layer for block in self.blocks for layer in block.children()]
        return FoldedGenerator(*layers, self.to_rgb[-1])


class FoldedGenerator(nn.Sequential):
    """A fully grown `Generator` without its growing schedule."""

    bounded = False


class ToRGB(EqualisedConv2d):
    """1×1 convolution from feature maps to images, rescaled from [-1, 1] to [0, 1]."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__(width, channels, 1, gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return the images in float32 or better.

        Computed as a matrix product, because PyTorch's convolution to so few channels is slow.
        """
        kernel = self.kernel().flatten(1)
        product = full_precision(torch.matmul(kernel, x.contiguous().flatten(2)))
        images = product.unflatten(2, x.shape[2:])
        return images / 2 + (self.bias.view(-1, 1, 1) / 2 + 0.5)

    def fold(self) -> nn.Module:
        """Return a plain convolution with output in [0, 1]."""
        plain: nn.Module = super().fold()
        with torch.no_grad():
            plain.get_parameter("weight").div_(2)
            plain.get_parameter("bias").div_(2).add_(0.5)
        return plain


class Discriminator(nn.Module):
    """Images [N, C, S, S] in [0, 1], of the current resolution or larger, to logits [N]."""

    def __init__(self, config: ProGANConfig, blur: bool = False) -> None:
        super().__init__()
        self.growth = config.growth()
        widths = config.discriminator_widths[::-1]
        self.from_rgb = nn.ModuleList(
            nn.Sequential(EqualisedConv2d(config.channels, width, 1), nn.LeakyReLU(0.2))
            for width in widths
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(
                EqualisedConv2d(width, width, 3),
                nn.LeakyReLU(0.2),
                DownsampledConv2d(width, after, blur),
                nn.LeakyReLU(0.2),
            )
            for after, width in pairwise(widths)
        )
        self.judge = nn.Sequential(
            MinibatchDeviation(),
            EqualisedConv2d(widths[0] + 1, widths[0], 3),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            EqualisedLinear(widths[0] * SMALLEST**2, widths[0]),
            nn.LeakyReLU(0.2),
            EqualisedLinear(widths[0], 1, gain=1.0),
        )

    def forward(self, images: Tensor) -> Tensor:
        level, alpha = self.growth.stage()
        images = 2 * reduce(images, SMALLEST << level) - 1
        x = self.from_rgb[level](images)
        for step in range(level, 0, -1):
            x = self.blocks[step - 1](x)
            if step == level and alpha < 1:
                old = self.from_rgb[step - 1](reduce(images, x.shape[-1]))
                x = blend(old, x, alpha)
        logits: Tensor = self.judge(x)
        return logits.flatten()


class ProGAN(nn.Module):
    """Generator and discriminator."""

    prior = "normal"

    def __init__(self, config: ProGANConfig | None = None) -> None:
        super().__init__()
        self.config = config or ProGANConfig()
        self.generator = Generator(self.config)
        self.discriminator = Discriminator(self.config)


def _with_norm(convolution: nn.Module) -> tuple[nn.Module, ...]:
    return convolution, nn.LeakyReLU(0.2), PixelNorm()
