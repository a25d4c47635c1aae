"""Base of the classifiers: images in, a probability for each name out."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn


class Classifier(nn.Module):
    """Base of the classifiers: `features`, then one linear layer `project`.

    `kind` is "multilabel" (independent probabilities) or "classes" (the scores of an image sum to
    1). With `exposes_features` the engine file outputs the features too.
    """

    kind: ClassVar[str]
    exposes_features: ClassVar[bool] = False
    config: Any
    features: nn.Module
    project: nn.Module

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each score; empty if the scores are of the data set's classes."""
        return ()

    def logits(self, images: Tensor) -> Tensor:
        """Return log odds (of classes: unnormalised log-probabilities), [N, K]."""
        result: Tensor = self.project(self.features(images))
        return result

    def from_features(self, features: Tensor) -> Tensor:
        """Return the probabilities [N, K] of features [N, F]."""
        raise NotImplementedError

    def scores(self, images: Tensor) -> Tensor:
        """Return the probabilities, [N, K]."""
        return self.from_features(self.features(images))
