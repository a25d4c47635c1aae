"""Classifier: images in, probabilities out."""

from typing import Any

import numpy as np

from runtime._engine import Engine
from runtime._placement import image_input, place_output


class Classifier(Engine):
    """A loaded engine file of the role "classifier"; arguments and errors as for Generator."""

    _native_class = "Classifier"

    @property
    def names(self) -> list[str]:
        """Names of the K scores."""
        return list(self.manifest["scores"]["names"])

    @property
    def kind(self) -> str:
        """ "classes": the scores of an image add up to 1; "multilabel": each is its own."""
        kind: str = self.manifest["scores"]["kind"]
        return kind

    def classify(self, images: Any, out: Any = "numpy") -> Any:
        """Return the probabilities float32[n, K] of images uint8[n, H, W, C].

        images may be in a GPU's memory; out as in Generator.sample.
        Raises ArgumentError for another dtype or shape, ExecutionError.
        """
        inputs = image_input("images", images, self.image_shape)
        place = place_output(out, self.device, (inputs.rows, len(self.names)), np.float32, inputs)
        return place.result(self._native.classify(inputs.native, place.native))
