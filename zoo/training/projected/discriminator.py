"""The discriminator: a frozen network, random projections of its maps, and heads that learn."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.models.style_layers import full_precision
from zoo.training.projected.heads import ColourHead, Head, PatchHead
from zoo.training.projected.network import CHANNELS, FrozenNetwork, RandomMixing

WIDTHS = (32, 32, 64, 64)
"""Channels of the projected maps, fine to coarse."""

WIDTH = 64
"""Channels of the heads of features."""

LEAST = 64
"""Side of the smallest images that the network is shown; smaller ones are enlarged."""

STRIDE = 32
"""What the side of its input is a multiple of."""


class ProjectedDiscriminator(nn.Module):
    """Images [N, C, S, S] in [0, 1] to logits, after Sauer et al. 2021 (arXiv:2111.01007).

    size, channels: of the images; channels is 1 or 3.
    condition: width of what else is known of an image, a vector (a class, a latent); 0: nothing.
    inputs: channels of the picture that an image is to be made from; 0: none. Only the heads of
        pixels see it.
    dtype: of the frozen network.

    `features` gives what the heads see, `judge` their verdicts, so that a batch goes through the
    frozen network once for both players.
    """

    def __init__(
        self,
        size: int,
        channels: int,
        condition: int = 0,
        inputs: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.side = max(LEAST, -(-size // STRIDE) * STRIDE)
        self.network = FrozenNetwork(self.side, dtype)
        self.mixing = RandomMixing(CHANNELS, WIDTHS)
        self.heads = nn.ModuleList(
            Head(width, self.side >> (index + 1), WIDTH, condition)
            for index, width in enumerate(WIDTHS)
        )
        self.pixel_heads = nn.ModuleList(
            (
                PatchHead(channels + inputs, condition=condition),
                ColourHead(channels + inputs, condition=condition),
            )
        )

    def calibrate(self, images: Tensor) -> None:
        """Give the projected features of these real images deviation 1; once, before training."""
        with torch.no_grad():
            self.mixing.calibrate(self.network(self._fitted(images)))

    def features(self, images: Tensor, inputs: Tensor | None = None) -> list[Tensor]:
        """What each head is to judge: the projected maps, and the pixels for each pixel head."""
        images = self._fitted(images)
        maps = self.mixing(self.network(images))
        pixels = images
        if inputs is not None:
            pixels = torch.cat([images, self._fitted(inputs).to(images.dtype)], 1)
        return [*maps, *[pixels] * len(self.pixel_heads)]

    def judge(self, maps: list[Tensor], condition: Tensor | None = None) -> list[Tensor]:
        """The logits [N, L] of each head."""
        heads = [*self.heads, *self.pixel_heads]
        return [head(x, condition) for head, x in zip(heads, maps, strict=True)]

    def sees_pixels(self) -> list[bool]:
        """Which of the heads judge pixels."""
        return [False] * len(self.heads) + [True] * len(self.pixel_heads)

    def forward(
        self, images: Tensor, condition: Tensor | None = None, inputs: Tensor | None = None
    ) -> Tensor:
        """The mean logit of each image, [N]."""
        maps = [full_precision(x) for x in self.features(images, inputs)]
        verdicts = self.judge(maps, condition)
        return torch.stack([verdict.float().mean(1) for verdict in verdicts]).mean(0)

    def _fitted(self, images: Tensor) -> Tensor:
        """The images at the side of the network."""
        if images.shape[-1] == self.side:
            return images
        size = (self.side, self.side)
        return F.interpolate(images, size, mode="bilinear", align_corners=False)
