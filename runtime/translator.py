"""Translator: images in, images out."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from runtime._arguments import UINT64_MAX, integer
from runtime._conditions import rows
from runtime._engine import Engine
from runtime._placement import pictures, target
from runtime.errors import ArgumentError


class Translator(Engine):
    """An engine file of the role "translator", loaded; arguments and errors as Generator's.

    It cleans, completes or colours pictures; the manifest's `task` says which.
    """

    _native_class = "Translator"

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of what goes in, the mask of `alpha` included."""
        image = self.manifest["input"]
        return image["height"], image["width"], image["channels"]

    @property
    def alpha(self) -> bool:
        """Whether the last channel that goes in is a mask: 255 known, 0 hidden."""
        alpha: bool = self.manifest["input"]["alpha"]
        return alpha

    @property
    def attributes(self) -> list[str]:
        """Names of the attributes that the images are to have; empty where none are asked for."""
        return list((self.manifest.get("condition") or {}).get("names", []))

    def translate(
        self,
        images: Any,
        attributes: ArrayLike | None = None,
        seed: int = 0,
        first: int = 0,
        out: Any = "numpy",
    ) -> Any:
        """Pictures uint8[n, H, W, C] made of images uint8[n, H, W, C].

        The shapes of one are `image_shape` and `input_shape`.
        attributes: values of 0 to 1, [K] or [n, K], for each of the names in `attributes`, where
        there are any. A translator that draws noise gives image r that of sample first + r.
        images may be in a GPU's memory; out as of Generator.sample.
        Raises ArgumentError for another dtype or shape, ExecutionError.
        """
        inputs = pictures("images", images, self.input_shape)
        names = self.attributes
        if attributes is not None and names:
            attributes = rows("attributes", attributes, inputs.rows, len(names))
        elif attributes is not None:
            raise ArgumentError("attributes: expected none, for the engine does not ask for them")
        elif names:
            raise ArgumentError(
                f"attributes: expected a value for each of {', '.join(names)}, got none"
            )
        place = target(out, self.device, (inputs.rows, *self.image_shape), np.uint8, inputs)
        made = self._native.translate(
            inputs.native,
            attributes,
            integer("seed", seed, 0, UINT64_MAX),
            integer("first", first, 0, UINT64_MAX),
            place.native,
        )
        return place.filled(made)
