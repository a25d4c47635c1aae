"""Encoder: images in, mean and log-variance of the latent out."""

from typing import Any

import numpy as np

from runtime._arguments import describe
from runtime._engine import LatentEngine
from runtime._placement import image_input, place_output
from runtime.device_array import to_device
from runtime.errors import ArgumentError


class Encoder(LatentEngine):
    """A loaded engine file of the role "encoder"; arguments and errors as for Generator."""

    _native_class = "Encoder"

    @property
    def deterministic(self) -> bool:
        """True if an image has one latent (a plain autoencoder), not a distribution."""
        return self.manifest["latent"].get("posterior") == "deterministic"

    def encode(self, images: Any, out: str = "numpy") -> tuple[Any, Any]:
        """Return mu and logvar, float32[n, D] each, of images uint8[n, H, W, C].

        logvar of a deterministic encoder is -inf everywhere. images may be in a GPU's memory;
        out: "numpy", or "device" for two `DeviceArray`.
        Raises ArgumentError for another dtype or shape, ExecutionError.
        """
        if not isinstance(out, str):
            raise ArgumentError(f"out: expected 'numpy' or 'device', got {describe(out)}")
        inputs = image_input("images", images, self.image_shape)
        shape = (inputs.rows, self.latent_width)
        mu = place_output(out, self.device, shape, np.float32)
        if mu.native is not None and self.deterministic:
            self._native.encode(inputs.native, False, mu.native, None)
            index = int(self.device.removeprefix("cuda:"))
            return mu.array, to_device(np.full(shape, -np.inf, np.float32), index)
        logvar = place_output(out, self.device, shape, np.float32)
        new = self._native.encode(inputs.native, True, mu.native, logvar.native)
        return mu.result(new[0]), logvar.result(new[1])

    def embed(self, images: Any, out: Any = "numpy") -> Any:
        """Return mu alone, float32[n, D]; out as in Generator.sample. Raises as `encode`."""
        inputs = image_input("images", images, self.image_shape)
        place = place_output(out, self.device, (inputs.rows, self.latent_width), np.float32, inputs)
        return place.result(self._native.encode(inputs.native, False, place.native, None)[0])
