"""Convolutional image classifier; its features are used to evaluate generators.

Strided convolutions replace pooling (Springenberg et al. 2015, arXiv:1412.6806). The features come
from a dense layer, so they keep spatial information.
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
class ClassConfig:
    """Options of a `ClassClassifier`.

    `widths` are the channels of its stages: the first has one convolution; each further stage has
    one that halves the side (rounding up) and, except in the last stage, a second one. `features`
    is the width of the feature layer, `dropout` the dropout rate of the dense layers.
    """

    image_size: int = 28
    channels: int = 1
    widths: tuple[int, ...] = (24, 48, 64, 64)
    features: int = 96
    dropout: float = 0.25
    classes: int = 0

    def __post_init__(self) -> None:
        as_widths(self, "widths", low=1)
        check_counts(self, "image_size", "channels", "features")
        if not isinstance(self.dropout, (int, float)) or not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be from 0 to below 1, got {self.dropout!r}")
        if not isinstance(self.classes, int) or self.classes < 2:
            raise ConfigError(
                f"a classifier needs a data set of 2 or more classes, got {self.classes}"
            )


class ClassClassifier(Classifier):
    """Images [N, C, S, S] in [0, 1] to class probabilities [N, K], which sum to 1."""

    kind = "classes"
    exposes_features = True

    def __init__(self, config: ClassConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        before, side, last = config.channels, config.image_size, len(config.widths) - 1
        for index, width in enumerate(config.widths):
            stride = 2 if index else 1
            layers += [nn.Conv2d(before, width, 3, stride, padding=1), nn.ReLU()]
            if 0 < index < last:
                layers += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU()]
            before, side = width, -(-side // stride)
        layers += [nn.Flatten(), nn.Dropout(config.dropout)]
        layers += [nn.Linear(before * side**2, config.features), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(config.dropout)
        self.project = nn.Linear(config.features, config.classes)
        for layer in layers:
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def from_features(self, features: Tensor) -> Tensor:
        """Return the probabilities [N, K] of features [N, F]."""
        return torch.softmax(self.project(features), 1)

    def forward(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return the batch means of loss (cross-entropy, nats) and accuracy; labels int64 [N]."""
        logits = self.project(self.dropout(self.features(images))).float()
        accuracy = (logits.argmax(1) == labels).float().mean()
        return {"loss": F.cross_entropy(logits, labels), "accuracy": accuracy.detach()}
