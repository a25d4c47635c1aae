"""Convolutional classifier of binary attributes: the judge of edits and translations.

K independent logistic outputs on one convolutional network, as for CelebA (Liu et al. 2015).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import ConfigError
from zoo.models.classifier import Classifier
from zoo.models.options import as_widths, check_counts


@dataclass(frozen=True)
class ClassifierConfig:
    """Options of an `AttributeClassifier`: `widths` of its strided convolutions, and the names."""

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
        if self.image_size % 2 ** len(self.widths):
            raise ConfigError(
                f"image_size must be a multiple of {2 ** len(self.widths)}, got {self.image_size}"
            )


class AttributeClassifier(Classifier):
    """Images [N, C, S, S] in [0, 1] to the probability of each attribute, [N, K]."""

    kind = "multilabel"

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        widths = config.widths
        for before, after in zip((config.channels, *widths[:-1]), widths, strict=True):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.ReLU()]
        side = config.image_size // 2 ** len(widths)
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.project = nn.Linear(widths[-1] * side**2, len(config.attributes))

    @property
    def names(self) -> tuple[str, ...]:
        """What each score is of."""
        return self.config.attributes

    def from_features(self, features: Tensor) -> Tensor:
        """Return the probabilities [N, K] of features [N, F]."""
        return torch.sigmoid(self.project(features))

    def forward(self, images: Tensor, attributes: Tensor) -> dict[str, Tensor]:
        """Return the batch means of loss (binary cross-entropy, nats) and accuracy; ±1 [N, K]."""
        logits = self.logits(images).float()
        wanted = (attributes > 0).float()
        loss = F.binary_cross_entropy_with_logits(logits, wanted)
        accuracy = ((logits > 0) == (attributes > 0)).float().mean()
        return {"loss": loss, "accuracy": accuracy.detach()}
