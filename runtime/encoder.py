"""Encoder: images in, mean and log-variance of the latent out."""

from typing import Any

import numpy as np

from runtime._arguments import shown
from runtime._engine import LatentEngine
from runtime._placement import pictures, target
from runtime.device_array import to_device
from runtime.errors import ArgumentError


class Encoder(LatentEngine):
    """An engine file of the role "encoder", loaded; arguments and errors as Generator's."""

    _native_class = "Encoder"

    @property
    def deterministic(self) -> bool:
        """Whether an image has one latent (a plain autoencoder), not a distribution of them."""
        return self.manifest["latent"].get("posterior") == "deterministic"

    def encode(self, images: Any, out: str = "numpy") -> tuple[Any, Any]:
        """mu and logvar, float32[n, D] each, of images uint8[n, H, W, C].

        logvar is -inf everywhere where the encoder is deterministic. images may be in a GPU's
        memory; out: "numpy", or "device" for two `DeviceArray`.
        Raises ArgumentError for another dtype or shape, ExecutionError.
        """
        if not isinstance(out, str):
            raise ArgumentError(f"out: expected 'numpy' or 'device', got {shown(out)}")
        given = pictures("images", images, self.image_shape)
        shape = (given.rows, self.latent_width)
        mu = target(out, self.device, shape, np.float32)
        if mu.native is not None and self.deterministic:
            self._native.encode(given.native, False, mu.native, None)
            index = int(self.device.removeprefix("cuda:"))
            return mu.array, to_device(np.full(shape, -np.inf, np.float32), index)
        logvar = target(out, self.device, shape, np.float32)
        made = self._native.encode(given.native, True, mu.native, logvar.native)
        return mu.filled(made[0]), logvar.filled(made[1])

    def embed(self, images: Any, out: Any = "numpy") -> Any:
        """mu alone, float32[n, D]; out as of Generator.sample. Raises as `encode`."""
        given = pictures("images", images, self.image_shape)
        place = target(out, self.device, (given.rows, self.latent_width), np.float32, given)
        return place.filled(self._native.encode(given.native, False, place.native, None)[0])
