"""pix2pix: image-to-image translation from pairs (Isola et al. 2017, arXiv:1611.07004).

The generator is a U-Net: an encoder and a decoder with skip connections between maps of the same
size. Its noise is dropout, in training and inference alike (section 3.1). The paper normalises by
batch statistics even at test time, which for a batch of one is instance normalisation (section
3.3). Here it is instance normalisation for every batch, so that an image does not depend on the
others and training and the engine file compute the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import ConfigError
from zoo.models.generators import FIRST_LAYER_STREAM, NoiseSource
from zoo.models.options import as_widths, check_choice, check_counts, check_halvings, check_numbers

TASKS = ("edges", "colour", "pairs")
DIRECTIONS = ("AtoB", "BtoA")
DROPOUTS = 3
"""Number of decoder layers with dropout, from the smallest map on."""


@dataclass(frozen=True)
class Pix2PixConfig:
    """Options of a `Pix2Pix`.

    `task` defines the inputs: "edges" of the images, the images in grey ("colour"), or the other
    image of each pair of the data ("pairs", see `zoo.data.pairs`), translated in that `direction`.
    Images have `channels`, inputs `input_channels`. `widths` are the channels of the encoder's
    strided convolutions, `discriminator_widths` those of the discriminator's convolutions except
    the last. `l1` is λ of equation 4. Raises `ConfigError`.
    """

    image_size: int = 64
    channels: int = 3
    input_channels: int = 1
    task: Literal["edges", "colour", "pairs"] = "pairs"
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    widths: tuple[int, ...] = (32, 48, 72, 72, 72)
    discriminator_widths: tuple[int, ...] = (32, 64, 128)
    l1: float = 100.0

    def __post_init__(self) -> None:
        as_widths(self, "widths", low=2)
        as_widths(self, "discriminator_widths", low=1)
        check_counts(self, "image_size", "channels", "input_channels")
        check_choice(self, "task", *TASKS)
        check_choice(self, "direction", *DIRECTIONS)
        check_numbers(self, "l1")
        check_halvings(self, "widths")
        if self.task != "pairs" and self.input_channels != 1:
            raise ConfigError(
                f"input_channels must be 1 for the task {self.task}, got {self.input_channels}"
            )
        if self.task != "pairs" and self.direction != "AtoB":
            raise ConfigError(
                f"direction must be AtoB for the task {self.task}, got {self.direction}"
            )
        if self.task == "colour" and self.channels != 3:
            raise ConfigError(f"channels must be 3 for the task colour, got {self.channels}")

    corruption = ()
    alpha = False


def dropout(x: Tensor, stream: int, noise: NoiseSource) -> Tensor:
    """Set half of x [N, C, H, W] to 0 at random and double the rest, by the noise contract.

    An element is kept if its sample of the stream's N(0, 1) noise is positive.
    """
    drawn = noise(stream, x.shape[1] * x.shape[2] * x.shape[3]).reshape(x.shape)
    return 2 * x * (drawn > 0).to(x.dtype)


class UNet(nn.Module):
    """Inputs [N, C', S, S] in [0, 1] to images [N, C, S, S] in [0, 1].

    Dropout layer l draws `noise_widths[l]` numbers from stream `FIRST_LAYER_STREAM + l`.
    """

    bounded = True

    def __init__(self, config: Pix2PixConfig) -> None:
        super().__init__()
        widths = config.widths
        last = len(widths) - 1
        # The smallest map is not normalised, because little of it would remain.
        self.down = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 4, 2, 1),
                *([nn.InstanceNorm2d(after, affine=True)] if 0 < level < last else []),
            )
            for level, (before, after) in enumerate(
                zip((config.input_channels, *widths), widths, strict=False)
            )
        )
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(widths[level] * (1 if level == last else 2), after, 4, 2, 1),
                nn.InstanceNorm2d(after, affine=True),
            )
            for level, after in zip(range(last, 0, -1), widths[-2::-1], strict=True)
        )
        self.head = nn.ConvTranspose2d(2 * widths[0], config.channels, 4, 2, 1)
        side = config.image_size // 2**last
        self.noise_widths = tuple(
            width * (side * 2**level) ** 2 for level, width in enumerate(widths[-2::-1][:DROPOUTS])
        )

    def forward(self, inputs: Tensor, noise: NoiseSource) -> Tensor:
        x = 2 * inputs - 1
        skipped = []
        for level, layer in enumerate(self.down):
            x = layer(F.leaky_relu(x, 0.2) if level else x)
            skipped.append(x)
        skipped.pop()
        for level, layer in enumerate(self.up):
            x = layer(F.relu(x))
            if level < len(self.noise_widths):
                x = dropout(x, FIRST_LAYER_STREAM + level, noise)
            x = torch.cat([x, skipped.pop()], 1)
        return torch.sigmoid(2 * self.head(F.relu(x)))


class PatchDiscriminator(nn.Module):
    """Pairs of input and image to logits of patches, [N, 1, H, W].

    4×4 convolutions, all strided except the last two (section 3.2.2 and appendix 6.1.2).
    """

    def __init__(self, config: Pix2PixConfig) -> None:
        super().__init__()
        widths = config.discriminator_widths
        layers: list[nn.Module] = []
        both = config.input_channels + config.channels
        for level, (before, after) in enumerate(zip((both, *widths), widths, strict=False)):
            stride = 2 if level < len(widths) - 1 else 1
            layers.append(nn.Conv2d(before, after, 4, stride, 1))
            if level:
                layers.append(nn.InstanceNorm2d(after, affine=True))
            layers.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, inputs: Tensor, images: Tensor) -> Tensor:
        """Return the logits that the images are real and belong to these inputs."""
        logits: Tensor = self.layers(2 * torch.cat([inputs, images.to(inputs.dtype)], 1) - 1)
        return logits


class Pix2Pix(nn.Module):
    """Generator and discriminator."""

    def __init__(self, config: Pix2PixConfig | None = None) -> None:
        super().__init__()
        self.config = config or Pix2PixConfig()
        self.generator = UNet(self.config)
        self.discriminator = PatchDiscriminator(self.config)
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(layer.weight, 0.0, 0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    @property
    def noise_widths(self) -> tuple[int, ...]:
        """Number of samples per image from each noise stream."""
        return self.generator.noise_widths

    def translate(self, inputs: Tensor, noise: NoiseSource) -> Tensor:
        """Translate inputs [N, C', S, S] in [0, 1] to images [N, C, S, S] in [0, 1]."""
        images: Tensor = self.generator(inputs, noise)
        return images


def l1_loss(images: Tensor, targets: Tensor) -> Tensor:
    """Return the mean absolute difference of equation 3, in the paper's range [-1, 1]."""
    return 2 * (images.float() - targets).abs().mean()
