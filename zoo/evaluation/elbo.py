"""The evidence lower bound of a VAE on a data set."""

from __future__ import annotations

import torch

from zoo.data import Split, normalise
from zoo.models.vae import VAE


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


__all__ = ["evaluate_elbo"]
