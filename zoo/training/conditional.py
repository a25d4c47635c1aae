"""Training of class-conditional adversarial models."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import ConfigError
from zoo.training.adversarial import AdversarialTask
from zoo.training.projected.game import ProjectedInput
from zoo.training.task import Batch


class ConditionalTask(AdversarialTask):
    """The conditional game (Mirza & Osindero 2014, equation 2): both players see the label."""

    def fake(self, model: Any, batch: Batch) -> Tensor:
        """Generate images of the batch's labels."""
        z = self.latents(model, len(batch), batch.levels.device)
        images: Tensor = model.generator(z, _labels(batch))
        return images

    def condition_width(self, model: Any) -> int:
        return int(model.config.classes)

    def projected_input(self, model: Any, shown: Tensor, batch: Batch) -> ProjectedInput:
        """Return the images, conditioned on one-hot classes scaled to mean square 1."""
        classes = model.config.classes
        return ProjectedInput(
            shown, F.one_hot(_labels(batch), classes).float() * math.sqrt(classes)
        )

    def score(self, model: Any, images: Tensor, batch: Batch) -> Tensor:
        """Return the logits of images with the batch's labels."""
        scores: Tensor = model.discriminator(images, _labels(batch))
        return scores

    def discriminator_extra(
        self, model: Any, batch: Batch, real: Tensor, fake: Tensor
    ) -> dict[str, Tensor]:
        """Return -log(1 - D(x, y')) for real images x with wrong labels y'.

        A projected discriminator learns the classes in its last layer and needs no such term.
        """
        config = model.config
        if not config.mismatch or self.options.projected:
            return {}
        labels = _labels(batch)
        others = (labels + torch.randint_like(labels, 1, config.classes)) % config.classes
        scores: Tensor = model.discriminator(real, others).float()
        return {"mismatch": F.softplus(scores).mean() * config.mismatch}

    def generate(self, model: Any, latents: Tensor, first: int, random: torch.Generator) -> Tensor:
        """Generate images of class 0, 1, … in turn."""
        samples = torch.arange(first, first + len(latents), device=latents.device)
        images: Tensor = model.generator(latents, samples % model.config.classes)
        return images


def _labels(batch: Batch) -> Tensor:
    if batch.labels is None:
        raise ConfigError("a conditional model needs a data set with labels")
    return batch.labels
