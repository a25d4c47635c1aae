"""Training of classifiers: of binary attributes, and of classes."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.data import DataSet, normalise
from zoo.errors import ConfigError
from zoo.models.attribute_classifier import AttributeClassifier
from zoo.models.class_classifier import ClassClassifier
from zoo.models.classifier import Classifier
from zoo.training.pictures import grid
from zoo.training.reconstruction import COLUMNS, image_batches
from zoo.training.task import Batch, LossTask


class AttributeTask(LossTask):
    """Training of an `AttributeClassifier` on the attributes of the data set."""

    def terms(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The cross-entropy on the batch."""
        if batch.attributes is None:
            raise ConfigError("the data set has no attributes to classify")
        terms: dict[str, Tensor] = model(batch.images, batch.attributes)
        return terms

    @torch.no_grad()
    def evaluate(self, model: nn.Module, data: DataSet) -> dict[str, float]:
        """Accuracy on validation: the mean over all attributes, and that of the worst one."""
        if data.validation.attributes is None:
            raise ConfigError(f"{data.name} has no attributes to classify")
        scores = _scores(cast(AttributeClassifier, model), data)
        right = (scores > 0.5) == (data.validation.attributes > 0)
        by_attribute = right.mean(0)
        return {
            "validation_accuracy": float(by_attribute.mean()),
            "validation_worst_accuracy": float(by_attribute.min()),
        }

    @torch.no_grad()
    def picture(self, model: nn.Module, data: DataSet, seed: int) -> np.ndarray:
        """A row for each attribute: validation images that have the highest scores for it."""
        return _most_certain(cast(AttributeClassifier, model), data)


class ClassTask(LossTask):
    """Training of a `ClassClassifier` on the labels of the data set.

    Every image is moved by up to a pixel, so that the network does not learn images by heart. None
    is mirrored: that a shoe points to the other side is something its features should tell.
    """

    SHIFT = 1

    def terms(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The cross-entropy on the moved images of the batch."""
        if batch.labels is None:
            raise ConfigError("the data set has no labels to classify")
        terms: dict[str, Tensor] = model(moved(batch.images, self.SHIFT), batch.labels)
        return terms

    @torch.no_grad()
    def evaluate(self, model: nn.Module, data: DataSet) -> dict[str, float]:
        """Accuracy on validation, that of the worst class, and the cross-entropy in nats."""
        labels = data.validation.labels
        if labels is None:
            raise ConfigError(f"{data.name} has no labels to classify")
        scores = _scores(cast(ClassClassifier, model), data)
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
        """A row for each class: validation images that have the highest scores for it."""
        return _most_certain(cast(ClassClassifier, model), data)


def moved(images: Tensor, most: int) -> Tensor:
    """Images [N, C, H, W], each moved by -most … most pixels in both directions.

    What comes into view is black. The choice is drawn from the global generator.
    """
    count, _, height, width = images.shape
    device = images.device
    dx, dy = torch.randint(0, 2 * most + 1, (2, count), device=device)
    columns = torch.arange(width, device=device) + dx[:, None]
    rows = torch.arange(height, device=device) + dy[:, None]
    padded = F.pad(images, (most, most, most, most)).permute(0, 2, 3, 1)
    index = torch.arange(count, device=device)[:, None, None]
    return padded[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _scores(classifier: Classifier, data: DataSet) -> np.ndarray:
    """Probabilities float32 [N, K] of the validation images."""
    device = next(classifier.parameters()).device
    parts = [classifier.scores(images).cpu() for images in image_batches(data.validation, device)]
    return torch.cat(parts).numpy()


def _most_certain(classifier: Classifier, data: DataSet) -> np.ndarray:
    device = next(classifier.parameters()).device
    images = torch.from_numpy(normalise(data.validation.images[:500])).to(device)
    best = classifier.scores(images).argsort(0, descending=True)[:COLUMNS]
    chosen = images[best.T.flatten()]
    return grid(chosen.cpu().numpy(), len(best))
