"""Encoder: images in, mean and log-variance of the latent out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime._engine import Engine
from runtime.errors import ArgumentError


class Encoder(Engine):
    """An engine file of the role "encoder", loaded; arguments and errors as Generator's."""

    _native_class = "Encoder"

    def encode(self, images: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """mu and logvar, float32[n, D] each, of images uint8[n, H, W, C].

        Raises ArgumentError for another dtype or shape, ExecutionError.
        """
        array = np.asarray(images)
        if array.dtype != np.uint8:
            raise ArgumentError(f"images: expected dtype uint8, got {array.dtype}")
        if array.ndim != 4 or array.shape[1:] != self.image_shape or array.shape[0] == 0:
            expected = ", ".join(map(str, self.image_shape))
            raise ArgumentError(f"images: expected shape (n, {expected}), got {array.shape}")
        mu, logvar = self._native.encode(np.ascontiguousarray(array))
        return mu, logvar
