"""Overcomplete autoencoder: dim(h) ≥ dim(x), with a regulariser that prevents copying.

*Deep Learning*, section 14.2. Without regulariser ("none") the network learns the identity.
"denoising" adds Gaussian noise to its input (Vincent et al. 2010), "sparse" the penalty λ·Σ|h|.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from zoo.errors import ConfigError
from zoo.models.autoencoder import Autoencoder
from zoo.models.options import check_choice, check_counts, check_numbers


@dataclass(frozen=True)
class OvercompleteConfig:
    """Options of an `OvercompleteAE`.

    h is a map of `features` channels at half the resolution: D = features·(image_size / 2)², at
    least dim(x). `strength` is the noise's σ ("denoising") or λ ("sparse"). Raises `ConfigError`.
    """

    image_size: int = 28
    channels: int = 1
    features: int = 8
    regulariser: Literal["none", "denoising", "sparse"] = "denoising"
    strength: float = 0.5

    def __post_init__(self) -> None:
        check_counts(self, "image_size", "channels", "features")
        check_choice(self, "regulariser", "none", "denoising", "sparse")
        check_numbers(self, "strength")
        if self.image_size % 2:
            raise ConfigError(f"image_size must be even, got {self.image_size}")
        if self.features < 4 * self.channels:
            raise ConfigError(
                f"features must be at least {4 * self.channels}, so that h is no smaller than "
                f"the image; got {self.features}"
            )

    @property
    def latent(self) -> int:
        """D, the number of values of h."""
        return self.features * (self.image_size // 2) ** 2


class OvercompleteAE(Autoencoder):
    """A strided convolution with ReLU to h, and a transposed convolution back."""

    def __init__(self, config: OvercompleteConfig | None = None) -> None:
        super().__init__(config or OvercompleteConfig())
        shape = self.config
        side = shape.image_size // 2
        self.encoder = nn.Sequential(
            nn.Conv2d(shape.channels, shape.features, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.decoder = nn.Sequential(
            nn.Unflatten(1, (shape.features, side, side)),
            nn.ConvTranspose2d(shape.features, shape.channels, 4, stride=2, padding=1),
        )

    def corrupt(self, images: Tensor) -> Tensor:
        """Return the images, with noise if the regulariser is "denoising"."""
        if self.config.regulariser != "denoising":
            return images
        return images + self.config.strength * torch.randn_like(images)

    def penalty(self, h: Tensor, images: Tensor) -> Tensor | None:
        """Return λ·Σ|h| if the regulariser is "sparse", else None."""
        if self.config.regulariser != "sparse":
            return None
        return self.config.strength * h.float().abs().sum(1).mean()

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        """Return mse, and noise_mse on images of uniform noise, which only the identity copies."""
        generator = torch.Generator().manual_seed(0)
        noise = torch.rand(images.shape, generator=generator).to(images.device)
        return {**super().measure(images), "noise_mse": super().measure(noise)["mse"]}
