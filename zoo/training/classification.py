"""Training of classifiers of binary attributes and of classes."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.data import DataSet
from zoo.errors import ConfigError
from zoo.models.attribute_classifier import AttributeClassifier
from zoo.models.class_classifier import ClassClassifier
from zoo.models.classifier import Classifier
from zoo.training.pictures import draw_grid
from zoo.training.reconstruction import COLUMNS, image_batches
from zoo.training.task import Batch, LossTask, to_input


class AttributeTask(LossTask):
    """Training of an `AttributeClassifier` on the attributes of the data set."""

    def terms(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return the cross-entropy on the batch."""
        if batch.attributes is None:
            raise ConfigError("the data set has no attributes to classify")
        terms: dict[str, Tensor] = model(batch.images, batch.attributes)
        return terms

    @torch.no_grad()
    def evaluate(self, model: nn.Module, data: DataSet) -> dict[str, float]:
        """Measure validation accuracy: the mean over all attributes, and the worst one's."""
        if data.validation.attributes is None:
            raise ConfigError(f"{data.name} has no attributes to classify")
        scores = _score_validation(cast(AttributeClassifier, model), data)
        right = (scores > 0.5) == (data.validation.attributes > 0)
        by_attribute = right.mean(0)
        return {
            "validation_accuracy": float(by_attribute.mean()),
            "validation_worst_accuracy": float(by_attribute.min()),
        }

    @torch.no_grad()
    def picture(self, model: nn.Module, data: DataSet, seed: int) -> np.ndarray:
        """Draw a row for each attribute: the validation images with the highest scores."""
        return _draw_most_certain(cast(AttributeClassifier, model), data)


class ClassTask(LossTask):
    """Training of a `ClassClassifier` on the labels of the data set.

    Images are randomly shifted by up to a pixel against overfitting. They are not mirrored, so that
    the features can tell which way a shoe points.
    """

    SHIFT = 1

    def terms(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return the cross-entropy on the shifted images of the batch."""
        if batch.labels is None:
            raise ConfigError("the data set has no labels to classify")
        terms: dict[str, Tensor] = model(shift_randomly(batch.images, self.SHIFT), batch.labels)
        return terms

    @torch.no_grad()
    def evaluate(self, model: nn.Module, data: DataSet) -> dict[str, float]:
        """Measure validation accuracy, the worst class's accuracy, and cross-entropy in nats."""
        labels = data.validation.labels
        if labels is None:
            raise ConfigError(f"{data.name} has no labels to classify")
        scores = _score_validation(cast(ClassClassifier, model), data)
        right = scores.argmax(1) == labels
        of_label = scores[np.arange(len(labels)), labels].astype(np.float64)
        return {
            "validation_accuracy": float(right.mean()),
            "validation_worst_accuracy": min(
                float(right[labels == k].mean()) for k in np.unique(labels)
            ),
            "validation_loss": float(-np.log(of_label.clip(1e-12)).mean()),
        }

    @torch.no_grad()
    def picture(self, model: nn.Module, data: DataSet, seed: int) -> np.ndarray:
        """Draw a row for each class: the validation images with the highest scores."""
        return _draw_most_certain(cast(ClassClassifier, model), data)


def shift_randomly(images: Tensor, most: int) -> Tensor:
    """Shift each of the images [N, C, H, W] by -most … most pixels in both directions.

    Uncovered pixels are black. Draws from the global generator.
    """
    count, _, height, width = images.shape
    device = images.device
    dx, dy = torch.randint(0, 2 * most + 1, (2, count), device=device)
    columns = torch.arange(width, device=device) + dx[:, None]
    rows = torch.arange(height, device=device) + dy[:, None]
    padded = F.pad(images, (most, most, most, most)).permute(0, 2, 3, 1)
    index = torch.arange(count, device=device)[:, None, None]
    return padded[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _score_validation(classifier: Classifier, data: DataSet) -> np.ndarray:
    """Return probabilities float32 [N, K] of the validation images."""
    batches = image_batches(data.validation, classifier)
    parts = [classifier.scores(images).cpu() for images in batches]
    return torch.cat(parts).numpy()


def _draw_most_certain(classifier: Classifier, data: DataSet) -> np.ndarray:
    images = to_input(data.validation.images[:500], classifier)
    best = classifier.scores(images).argsort(0, descending=True)[:COLUMNS]
    chosen = images[best.T.flatten()]
    return draw_grid(chosen.cpu().numpy(), len(best))
