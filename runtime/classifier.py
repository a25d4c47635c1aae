"""Classifier: images in, probabilities out."""

from typing import Any

import numpy as np

from runtime._engine import Engine
from runtime._placement import pictures, target


class Classifier(Engine):
    """An engine file of the role "classifier", loaded; arguments and errors as Generator's."""

    _native_class = "Classifier"

    @property
    def names(self) -> list[str]:
        """What the K scores stand for."""
        return list(self.manifest["scores"]["names"])

    @property
    def kind(self) -> str:
        """ "classes": the scores of an image add up to 1; "multilabel": each is its own."""
        kind: str = self.manifest["scores"]["kind"]
        return kind

    def classify(self, images: Any, out: Any = "numpy") -> Any:
        """Probabilities float32[n, K] of images uint8[n, H, W, C].

        images may be in a GPU's memory; out as of Generator.sample.
        Raises ArgumentError for another dtype or shape, ExecutionError.
        """
        given = pictures("images", images, self.image_shape)
        place = target(out, self.device, (given.rows, len(self.names)), np.float32, given)
        return place.filled(self._native.classify(given.native, place.native))
