"""The graphs of style-based generators: the whole, and its two halves."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from export.modules import (
    ROWS,
    Example,
    GeneratorGraph,
    ImageFormat,
    drawn,
    image_from_mean,
    reparametrized_sample,
)


class StyleGraph(GeneratorGraph):
    """(mu, logvar, seed, first, truncation [1], noise [1]) -> image."""

    inputs = (*GeneratorGraph.inputs, "truncation", "noise")

    def forward(  # type: ignore[override]
        self,
        mu: Tensor,
        logvar: Tensor,
        seed: Tensor,
        first: Tensor,
        truncation: Tensor,
        noise: Tensor,
    ) -> Tensor:
        """One image per row; the noise of its layers, of sample `first + r`, times `noise`."""
        latents = reparametrized_sample(mu, logvar, seed, first, 0)
        images = self.decoder(latents, truncation, drawn(mu, seed, first, noise))
        return image_from_mean(images, self.image, self.bounded)

    def example(self) -> Example:
        """Inputs to trace with, and their dynamic axes."""
        arguments, axes = super().example()
        return (*arguments, torch.ones(1), torch.ones(1)), (*axes, {}, {})


class MappingGraph(nn.Module):
    """latent [N,D] -> styles [N,W], not truncated."""

    inputs = ("latent",)
    outputs = ("styles",)

    def __init__(self, decoder: Any, width: int) -> None:
        super().__init__()
        self.mapping, self.width = decoder.mapping, width

    def forward(self, latent: Tensor) -> Tensor:
        """The style of each latent."""
        styles: Tensor = self.mapping(latent)
        return styles

    def example(self) -> Example:
        """Inputs to trace with, and their dynamic axes."""
        return (torch.zeros(2, self.width),), (ROWS,)


class SynthesisGraph(nn.Module):
    """(latent [N,layers*W], seed [1], first [1], noise [1]) -> image."""

    inputs = ("latent", "seed", "first", "noise")
    outputs = ("image",)

    def __init__(self, decoder: Any, image: ImageFormat, bounded: bool) -> None:
        super().__init__()
        self.synthesis, self.image, self.bounded = decoder.synthesis, image, bounded
        self.shape = int(decoder.layers), len(decoder.style_mean)

    def forward(self, latent: Tensor, seed: Tensor, first: Tensor, noise: Tensor) -> Tensor:
        """One image per row, whose styles stand one after the other."""
        styles = latent.unflatten(1, self.shape)
        images = self.synthesis(styles, drawn(latent, seed, first, noise))
        return image_from_mean(images, self.image, self.bounded)

    def example(self) -> Example:
        """Inputs to trace with, and their dynamic axes."""
        layers, width = self.shape
        words = [torch.zeros(1, dtype=torch.int64) for _ in range(2)]
        return (torch.zeros(2, layers * width), *words, torch.ones(1)), (ROWS, {}, {}, {})
