"""Base of the autoencoders: h = f(x), r = g(h), and a reconstruction loss between r and x.

Goodfellow, Bengio & Courville, *Deep Learning*, chapter 14. Each model of the family adds a penalty
Ω(h, x) (equations 14.2, 14.11) or corrupts the input of f.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from zoo.models.options import as_widths, check_counts

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
}


@dataclass(frozen=True)
class DenseConfig:
    """Sizes of an autoencoder of fully connected layers.

    `image_size` is the side of a square image in pixels, `channels` its number of channels,
    `latent` the width D of h, and `hidden` the widths of the encoder's hidden layers; the decoder
    mirrors them. Raises `ConfigError` for invalid values.
    """

    image_size: int = 28
    channels: int = 1
    latent: int = 32
    hidden: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        as_widths(self, "hidden")
        check_counts(self, "image_size", "channels", "latent")

    @property
    def pixels(self) -> int:
        """Number of values of an image, dim(x)."""
        return self.image_size**2 * self.channels


class DenseEncoder(nn.Module):
    """f: images [N, C, S, S] in [0, 1] to h [N, D]; ReLU hidden layers, activation `code` on h."""

    def __init__(self, config: DenseConfig, code: str = "linear") -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_dense((config.pixels, *config.hidden, config.latent)), ACTIVATIONS[code]()
        )

    def forward(self, images: Tensor) -> Tensor:
        h: Tensor = self.layers(images.flatten(1))
        return h


class DenseDecoder(nn.Module):
    """g: h [N, D] to images [N, C, S, S]; ReLU hidden layers, activation `image` on the pixels.

    The images are in [0, 1] if `bounded`.
    """

    def __init__(self, config: DenseConfig, image: str = "sigmoid") -> None:
        super().__init__()
        self.bounded = image == "sigmoid"
        self.shape = (config.channels, config.image_size, config.image_size)
        self.layers = nn.Sequential(
            *_dense((config.latent, *reversed(config.hidden), config.pixels)), ACTIVATIONS[image]()
        )

    def forward(self, latents: Tensor) -> Tensor:
        images: Tensor = self.layers(latents)
        return images.reshape(-1, *self.shape)


def _dense(widths: Sequence[int]) -> list[nn.Module]:
    """Return linear layers between consecutive widths, with a ReLU between each two."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return layers[:-1]


class Autoencoder(nn.Module):
    """An encoder, a decoder, and the squared error ‖x − g(f(x))‖², summed over an image.

    It defines no distribution over h (`prior` is "none"), so the decoder alone is not a generator.
    """

    prior = "none"
    posterior = "deterministic"
    encoder: nn.Module
    decoder: nn.Module

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    def constrain(self) -> None:
        """Constrain the weights; called before training and after each step."""

    def penalty(self, h: Tensor, images: Tensor) -> Tensor | None:
        """Return the weighted penalty Ω(h, x), averaged over the batch, or None."""
        return None

    def corrupt(self, images: Tensor) -> Tensor:
        """Return the encoder's input during training."""
        return images

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """Return the batch means per image: loss, error and, if the model has one, penalty."""
        h = self.encoder(self.corrupt(images))
        error = (self.decoder(h).float() - images).square().flatten(1).sum(1).mean()
        penalty = self.penalty(h, images)
        if penalty is None:
            return {"loss": error, "error": error}
        return {"loss": error + penalty, "error": error, "penalty": penalty}

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return `loss(images)`, for wrappers that call the module."""
        return self.loss(images)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Return h of images [N, C, S, S], [N, D]."""
        h: Tensor = self.encoder(images)
        return h

    @torch.no_grad()
    def reconstruct(self, images: Tensor) -> Tensor:
        """Return g(f(x)), [N, C, S, S], clipped to [0, 1]."""
        mean: Tensor = self.decoder(self.encode(images))
        return mean.clamp(0, 1)

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        """Return metrics of each image, [N] by name; their means over a test set are reported."""
        difference = self.reconstruct(images) - images
        return {"mse": difference.square().flatten(1).mean(1)}
