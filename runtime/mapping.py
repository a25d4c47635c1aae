"""Mapping: latents in, styles out, the first half of a style-based generator."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime._engine import LatentEngine
from runtime._placement import latent_input, place_output


class Mapping(LatentEngine):
    """A loaded engine file of the role "mapping"; arguments and errors as for Generator."""

    _native_class = "Mapping"

    @property
    def style_width(self) -> int:
        """W, the number of values of a style."""
        return int(self.manifest["truncation"]["width"])

    @property
    def style_mean(self) -> NDArray[np.float32]:
        """w̄ [W], the mean style over the prior, around which truncation contracts."""
        return np.array(self.manifest["truncation"]["mean"], np.float32)

    def map(self, latents: Any, out: Any = "numpy") -> Any:
        """Return the styles float32[n, W] of latents [n, D] (finite), not truncated.

        latents may be in a GPU's memory; out as in Generator.sample.
        Raises ArgumentError, ExecutionError.
        """
        inputs = latent_input("latents", latents, self.latent_width)
        place = place_output(out, self.device, (inputs.rows, self.style_width), np.float32, inputs)
        return place.result(self._native.map(inputs.native, place.native))
