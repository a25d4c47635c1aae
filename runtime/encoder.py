"""Encoder: images in, mean and log-variance of the latent out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime._arguments import pictures
from runtime._engine import LatentEngine


class Encoder(LatentEngine):
    """An engine file of the role "encoder", loaded; arguments and errors as Generator's."""

    _native_class = "Encoder"

    @property
    def deterministic(self) -> bool:
        """Whether an image has one latent (a plain autoencoder), not a distribution of them."""
        return self.manifest["latent"].get("posterior") == "deterministic"

    def encode(self, images: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """mu and logvar, float32[n, D] each, of images uint8[n, H, W, C].

        logvar is -inf everywhere where the encoder is deterministic.
        Raises ArgumentError for another dtype or shape, ExecutionError.
        """
        mu, logvar = self._native.encode(pictures("images", images, self.image_shape), True)
        return mu, logvar

    def embed(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """mu alone, float32[n, D]; raises as `encode`."""
        mu: NDArray[np.float32]
        mu, _ = self._native.encode(pictures("images", images, self.image_shape), False)
        return mu
