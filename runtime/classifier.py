"""Classifier: images in, probabilities out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime._arguments import pictures
from runtime._engine import Engine


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

    def classify(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Probabilities float32[n, K] of images uint8[n, H, W, C].

        Raises ArgumentError for another dtype or shape, ExecutionError.
        """
        scores: NDArray[np.float32] = self._native.classify(
            pictures("images", images, self.image_shape)
        )
        return scores
