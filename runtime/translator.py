"""Translator: images in, images out."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from runtime._arguments import UINT64_MAX, as_integer, as_keys
from runtime._conditions import as_rows
from runtime._engine import Engine
from runtime._placement import image_input, place_output
from runtime.errors import ArgumentError


class Translator(Engine):
    """A loaded engine file of the role "translator"; arguments and errors as for Generator.

    It denoises, completes or colours images, according to the manifest's `task`.
    """

    _native_class = "Translator"

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of an input image, the mask of `alpha` included."""
        image = self.manifest["input"]
        return image["height"], image["width"], image["channels"]

    @property
    def alpha(self) -> bool:
        """True if the last input channel is a mask: 255 known, 0 hidden."""
        return bool(self.manifest["input"]["alpha"])

    @property
    def attributes(self) -> list[str]:
        """Names of the target attributes; empty for a translator without attributes."""
        return list((self.manifest.get("condition") or {}).get("names", []))

    def translate(
        self,
        images: Any,
        attributes: ArrayLike | None = None,
        seed: int = 0,
        first: int = 0,
        out: Any = "numpy",
        keys: ArrayLike | None = None,
    ) -> Any:
        """Return the translations uint8[n, H, W, C] of images uint8[n, H, W, C].

        The shapes of an image are `image_shape` and `input_shape`.
        attributes: target values from 0 to 1, [K] or [n, K], one for each name in the property
        `attributes`; required if there are any. In a translator that draws noise, image r gets the
        noise of sample first + r of the seed, or that of keys[r] as in `SampleRequest`. images may
        be in a GPU's memory; out as in Generator.sample.
        Raises ArgumentError for another dtype or shape, ExecutionError.
        """
        inputs = image_input("images", images, self.input_shape)
        names = self.attributes
        if attributes is not None and names:
            attributes = as_rows("attributes", attributes, inputs.rows, len(names))
        elif attributes is not None:
            raise ArgumentError("attributes: expected none, for the engine does not ask for them")
        elif names:
            raise ArgumentError(
                f"attributes: expected a value for each of {', '.join(names)}, got none"
            )
        place = place_output(out, self.device, (inputs.rows, *self.image_shape), np.uint8, inputs)
        new = self._native.translate(
            inputs.native,
            attributes,
            as_integer("seed", seed, 0, UINT64_MAX),
            as_integer("first", first, 0, UINT64_MAX),
            as_keys(keys, inputs.rows),
            place.native,
        )
        return place.result(new)
