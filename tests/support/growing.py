"""Small models that grow, how to bring them to a stage, and random inputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.models import registry
from zoo.models.growth import Growth, grow

SIZES: dict[str, Any] = {
    "image_size": 16,
    "channels": 3,
    "latent": 8,
    "widths": (16, 12, 8),
    "discriminator_widths": (8, 12, 16),
    "stable_images": (100, 200),
    "fade_images": (50, 80),
}
"""Stages: 4×4 to image 100, fading to 150, 8×8 to 350, fading to 430, then 16×16."""


def make(name: str, seen: int = 0, **options: Any) -> Any:
    """A `progan` or `stylegan` in evaluation mode, float64, after so many images.

    Parameters that begin as constants are random, too.
    """
    torch.manual_seed(0)
    sizes = SIZES | ({"style": 10, "mapping_layers": 3} if name == "stylegan" else {}) | options
    model = registry.get(name).make(sizes).double().eval()
    for parameter in model.parameters():
        if (parameter == parameter.flatten()[0]).all():
            nn.init.normal_(parameter)
    if name == "stylegan":
        model.generator.style_mean.normal_()
    grow(model, seen)
    return model


def growths(model: nn.Module) -> list[Growth]:
    """The places where a model keeps how far it has grown."""
    return [module for module in model.modules() if isinstance(module, Growth)]


def rows(*shape: int, seed: int = 0) -> Tensor:
    """Numbers of N(0, 1), float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
