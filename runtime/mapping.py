"""Mapping: latents in, styles out: the first half of a style-based generator."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime._arguments import floats
from runtime._engine import LatentEngine


class Mapping(LatentEngine):
    """An engine file of the role "mapping", loaded; arguments and errors as Generator's."""

    _native_class = "Mapping"

    @property
    def style_width(self) -> int:
        """W, the number of values of a style."""
        width: int = self.manifest["truncation"]["width"]
        return width

    @property
    def style_mean(self) -> NDArray[np.float32]:
        """w̄ [W], the mean style over the prior, around which truncation contracts."""
        return np.array(self.manifest["truncation"]["mean"], np.float32)

    def map(self, latents: ArrayLike) -> NDArray[np.float32]:
        """Styles float32[n, W] of latents [n, D] (finite), not truncated.

        Raises ArgumentError, ExecutionError.
        """
        styles: NDArray[np.float32] = self._native.map(
            floats("latents", latents, (None, self.latent_width))
        )
        return styles
