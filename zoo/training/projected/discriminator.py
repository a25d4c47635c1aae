"""Projected discriminator: a frozen network, random projections of its maps, trained heads."""

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
"""Channels of the feature heads."""

LEAST = 64
"""Least side of the network's input; smaller images are enlarged."""

STRIDE = 32
"""Divisor of the side of the network's input."""


class ProjectedDiscriminator(nn.Module):
    """Images [N, C, S, S] in [0, 1] to logits, after Sauer et al. 2021 (arXiv:2111.01007).

    size, channels: of the images; channels is 1 or 3.
    condition: width of a vector that is known about each image (a class, a latent); 0: none.
    inputs: channels of the image that is translated; 0: none. Only the pixel heads see it.
    dtype: of the frozen network.

    `features` returns the heads' inputs and `judge` their logits, so that a batch passes through
    the frozen network once for both players.
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
        """Scale the projected features of these real images to deviation 1, before training."""
        with torch.no_grad():
            self.mixing.calibrate(self.network(self._resize(images)))

    def features(self, images: Tensor, inputs: Tensor | None = None) -> list[Tensor]:
        """Return each head's input: the projected maps, and the pixels for each pixel head."""
        images = self._resize(images)
        maps = self.mixing(self.network(images))
        pixels = images
        if inputs is not None:
            pixels = torch.cat([images, self._resize(inputs).to(images.dtype)], 1)
        return [*maps, *[pixels] * len(self.pixel_heads)]

    def judge(self, maps: list[Tensor], condition: Tensor | None = None) -> list[Tensor]:
        """Return the logits [N, L] of each head."""
        heads = [*self.heads, *self.pixel_heads]
        return [head(x, condition) for head, x in zip(heads, maps, strict=True)]

    def sees_pixels(self) -> list[bool]:
        """Return True for each head that judges pixels."""
        return [False] * len(self.heads) + [True] * len(self.pixel_heads)

    def forward(
        self, images: Tensor, condition: Tensor | None = None, inputs: Tensor | None = None
    ) -> Tensor:
        """Return the mean logit of each image, [N]."""
        maps = [full_precision(x) for x in self.features(images, inputs)]
        verdicts = self.judge(maps, condition)
        return torch.stack([verdict.float().mean(1) for verdict in verdicts]).mean(0)

    def _resize(self, images: Tensor) -> Tensor:
        """Resize the images to the network's input size."""
        if images.shape[-1] == self.side:
            return images
        size = (self.side, self.side)
        return F.interpolate(images, size, mode="bilinear", align_corners=False)
