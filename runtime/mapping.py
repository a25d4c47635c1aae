"""Mapping: latents in, styles out: the first half of a style-based generator."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime._engine import LatentEngine
from runtime._placement import latents as _latents
from runtime._placement import target


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

    def map(self, latents: Any, out: Any = "numpy") -> Any:
        """Styles float32[n, W] of latents [n, D] (finite), not truncated.

        latents may be in a GPU's memory; out as of Generator.sample.
        Raises ArgumentError, ExecutionError.
        """
        given = _latents("latents", latents, self.latent_width)
        place = target(out, self.device, (given.rows, self.style_width), np.float32, given)
        return place.filled(self._native.map(given.native, place.native))
