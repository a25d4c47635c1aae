"""Training of progressively grown and of style-based generators."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.models.generators import torch_noise
from zoo.models.growth import grow, match_resolution
from zoo.training.adversarial import AdversarialTask
from zoo.training.task import Batch, Update

STYLE_DECAY = 0.995
"""Decay per step of the running mean of w."""


class ProgressiveTask(AdversarialTask):
    """The game at the current resolution (Karras et al. 2017, section 2)."""

    def real(self, model: Any, batch: Batch) -> Tensor:
        """Return the images, reduced to the current resolution."""
        return match_resolution(batch.images, model.discriminator.growth)

    def fake(self, model: Any, batch: Batch) -> Tensor:
        """Generate images at the current resolution."""
        z = self.latents(model, len(batch), batch.levels.device)
        images: Tensor = model.generator.forward_stage(z)
        return images

    def step(self, model: nn.Module, batch: Batch, update: Update) -> dict[str, Tensor]:
        """Train on a batch and log the current side of the images."""
        discriminator: Any = model.discriminator
        side = torch.tensor(float(discriminator.growth.side()))
        return super().step(model, batch, update) | {"resolution": side}

    def after_step(self, model: Any, batch: Batch) -> None:
        """Count the images of all processes."""
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        grow(model, len(batch) * (torch.distributed.get_world_size() if distributed else 1))


class StyleTask(ProgressiveTask):
    """The game of a `StyleGAN`, with style mixing (Karras et al. 2019, section 3.1)."""

    def fake(self, model: Any, batch: Batch) -> Tensor:
        """Generate images at the current resolution with style mixing; updates the mean of w."""
        generator, count = model.generator, len(batch)
        z = self.latents(model, count, batch.levels.device)
        w = generator.mapping(z)
        if model.training:
            with torch.no_grad():
                generator.style_mean.lerp_(w.float().mean(0), 1 - STYLE_DECAY)
        other = generator.mapping(self.latents(model, count, z.device))
        layers = 2 * generator.synthesis.growth.stage()[0] + 2
        layer = torch.randint(1, layers, (count,), device=z.device)
        begun = int(generator.synthesis.growth.seen) >= model.config.mixing_from
        mixed = torch.rand(count, device=z.device) < (model.config.mixing if begun else 0.0)
        styles = generator.mix_each(w, other, torch.where(mixed, layer, generator.layers))
        images: Tensor = generator.synthesis.forward_stage(styles, torch_noise(z))
        return images

    def generate(self, model: Any, latents: Tensor, first: int, random: torch.Generator) -> Tensor:
        """Generate images, with layer noise from `random`."""
        images: Tensor = model.generator(latents, noise=torch_noise(latents, random))
        return images
