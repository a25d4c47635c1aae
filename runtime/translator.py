"""Translator: images in, images out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime._arguments import pictures
from runtime._engine import Engine


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

    def translate(self, images: NDArray[Any]) -> NDArray[np.uint8]:
        """Pictures uint8[n, *image_shape] made of images uint8[n, *input_shape].

        Raises ArgumentError for another dtype or shape, ExecutionError.
        """
        translated: NDArray[np.uint8] = self._native.translate(
            pictures("images", images, self.input_shape)
        )
        return translated
