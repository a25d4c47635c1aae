"""Training of attribute classifiers."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data import DataSet, normalise
from zoo.errors import ConfigError
from zoo.models.attribute_classifier import AttributeClassifier
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
        """Test accuracy: the mean over all attributes, and that of the worst one."""
        classifier = cast(AttributeClassifier, model)
        device = next(model.parameters()).device
        parts = [classifier.scores(images).cpu() for images in image_batches(data.test, device)]
        if data.test.attributes is None:
            raise ConfigError(f"{data.name} has no attributes to classify")
        right = (torch.cat(parts) > 0.5).numpy() == (data.test.attributes > 0)
        by_attribute = right.mean(0)
        return {
            "test_accuracy": float(by_attribute.mean()),
            "test_worst_accuracy": float(by_attribute.min()),
        }

    @torch.no_grad()
    def picture(self, model: nn.Module, data: DataSet, seed: int) -> np.ndarray:
        """A row for each attribute: test images that have the highest scores for it."""
        classifier = cast(AttributeClassifier, model)
        device = next(model.parameters()).device
        images = torch.from_numpy(normalise(data.test.images[:500])).to(device)
        best = classifier.scores(images).argsort(0, descending=True)[:COLUMNS]
        chosen = images[best.T.flatten()]
        return grid(chosen.cpu().numpy(), len(best))
