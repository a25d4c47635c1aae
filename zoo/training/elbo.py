"""The task that trains a VAE by its evidence lower bound."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import nn

from zoo.data import DataSet, normalise
from zoo.evaluation.elbo import evaluate_elbo
from zoo.models.vae import VAE
from zoo.training.pictures import grid, one_of_each
from zoo.training.task import LossTask


class ElboTask(LossTask):
    """Training of a `VAE` by the negative ELBO."""

    def evaluate(self, model: nn.Module, data: DataSet) -> dict[str, float]:
        """Negative ELBO on validation and its two terms, one sample an image, noise of seed 0."""
        measured = evaluate_elbo(cast(VAE, model), data.validation)
        return {f"validation_{name}": value for name, value in measured.items()}

    @torch.no_grad()
    def picture(self, model: nn.Module, data: DataSet, seed: int) -> np.ndarray:
        """Four pairs of rows, images above their reconstructions; then four rows of samples.

        The images are the first of each class of validation in turn, where there are labels.
        """
        vae, columns = cast(VAE, model), 10
        device = next(model.parameters()).device
        chosen = data.validation.images[one_of_each(data.validation, 4 * columns)]
        images = torch.from_numpy(normalise(chosen)).to(device)
        noise = torch.Generator().manual_seed(seed)
        latents = torch.randn(4 * columns, vae.config.latent, generator=noise).to(device)
        originals = images.unflatten(0, (-1, min(columns, len(images))))
        copies = vae.reconstruct(images).unflatten(0, originals.shape[:2])
        pairs = torch.stack([originals, copies], 1).flatten(0, 2)
        rows = torch.cat([pairs, vae.generate(latents)])
        return grid(rows.float().cpu().numpy(), originals.shape[1])
