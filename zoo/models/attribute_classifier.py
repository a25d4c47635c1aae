"""Convolutional classifier of binary attributes, used to judge edits and translations.

A convolutional network with K independent logistic outputs, as for CelebA (Liu et al. 2015).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import ConfigError
from zoo.models.classifier import Classifier
from zoo.models.options import as_widths, check_counts, check_halvings


@dataclass(frozen=True)
class ClassifierConfig:
    """Options of an `AttributeClassifier`; `widths` are those of its strided convolutions."""

    image_size: int = 64
    channels: int = 3
    widths: tuple[int, ...] = (16, 32, 48, 64)
    attributes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        as_widths(self, "widths", low=1)
        check_counts(self, "image_size", "channels")
        object.__setattr__(self, "attributes", tuple(self.attributes))
        if not self.attributes:
            raise ConfigError("the data set has no attributes to classify")
        check_halvings(self, "widths")


class AttributeClassifier(Classifier):
    """Images [N, C, S, S] in [0, 1] to the probability of each attribute, [N, K]."""

    kind = "multilabel"

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        widths = config.widths
        for before, after in pairwise((config.channels, *widths)):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.ReLU()]
        side = config.image_size // 2 ** len(widths)
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.project = nn.Linear(widths[-1] * side**2, len(config.attributes))

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each score."""
        return self.config.attributes

    def from_features(self, features: Tensor) -> Tensor:
        """Return the probabilities [N, K] of features [N, F]."""
        return torch.sigmoid(self.project(features))

    def forward(self, images: Tensor, attributes: Tensor) -> dict[str, Tensor]:
        """Return the batch means of loss (binary cross-entropy, nats) and accuracy.

        `attributes` are ±1, [N, K].
        """
        logits = self.logits(images).float()
        loss = F.binary_cross_entropy_with_logits(logits, (attributes > 0).float())
        accuracy = ((logits > 0) == (attributes > 0)).float().mean()
        return {"loss": loss, "accuracy": accuracy.detach()}


class AttributeFeatures(AttributeClassifier):
    """Classifier of attributes whose engine also outputs the features, which measure generators."""

    exposes_features = True
