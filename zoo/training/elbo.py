"""The evidence lower bound of a VAE on a data set, and the task that trains one."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import nn

from zoo.data import DataSet, Split, normalise
from zoo.models.vae import VAE
from zoo.training.pictures import grid, one_of_each
from zoo.training.task import LossTask


@torch.no_grad()
def evaluate_elbo(
    model: VAE, split: Split, seed: int = 0, samples: int = 1, batch: int = 500
) -> dict[str, float]:
    """Average the negative ELBO over a split, in nats per image: nelbo, reconstruction, kl.

    Each image's expectation is estimated by `samples` draws of h. The noise of a draw is made on
    the CPU from `seed`, in the order of the images, so the result does not depend on `batch`
    (beyond rounding) or on the device. β does not enter: this is the bound itself.
    """
    device = next(model.parameters()).device
    noise = torch.Generator().manual_seed(seed)
    training = model.training
    model.eval()
    reconstruction = kl = 0.0
    for _ in range(samples):
        # All at once: what PyTorch draws depends on how many it draws at a time.
        epsilon = torch.randn(len(split), model.config.latent, generator=noise)
        for start in range(0, len(split), batch):
            images = torch.from_numpy(normalise(split.images[start : start + batch])).to(device)
            terms = model.terms(images, epsilon[start : start + batch].to(device))
            reconstruction += float(terms.reconstruction.double().sum())
            kl += float(terms.kl.double().sum())
    model.train(training)
    count = len(split) * samples
    reconstruction, kl = reconstruction / count, kl / count
    return {"nelbo": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}


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
