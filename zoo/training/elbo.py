"""Training of a VAE by its evidence lower bound."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import nn

from zoo.data import DataSet
from zoo.evaluation.elbo import evaluate_elbo
from zoo.models.vae import VAE
from zoo.training.pictures import draw_grid, pick_per_class
from zoo.training.task import LossTask, to_input


class ElboTask(LossTask):
    """Training of a `VAE` by the negative ELBO."""

    def evaluate(self, model: nn.Module, data: DataSet) -> dict[str, float]:
        """Measure the negative validation ELBO and its terms, with one fixed sample per image."""
        measured = evaluate_elbo(cast(VAE, model), data.validation)
        return {f"validation_{name}": value for name, value in measured.items()}

    @torch.no_grad()
    def picture(self, model: nn.Module, data: DataSet, seed: int) -> np.ndarray:
        """Draw four pairs of rows, images above their reconstructions, then four rows of samples.

        The validation images are the first of each class in turn, if there are labels.
        """
        vae, columns = cast(VAE, model), 10
        chosen = data.validation.images[pick_per_class(data.validation, 4 * columns)]
        images = to_input(chosen, model)
        noise = torch.Generator().manual_seed(seed)
        latents = torch.randn(4 * columns, vae.config.latent, generator=noise).to(images)
        originals = images.unflatten(0, (-1, min(columns, len(images))))
        copies = vae.reconstruct(images).unflatten(0, originals.shape[:2])
        pairs = torch.stack([originals, copies], 1).flatten(0, 2)
        rows = torch.cat([pairs, vae.generate(latents)])
        return draw_grid(rows.float().cpu().numpy(), originals.shape[1])
