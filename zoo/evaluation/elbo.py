"""The evidence lower bound of a VAE on a data set."""

from __future__ import annotations

from pathlib import Path

import torch

from zoo import data as sets
from zoo.data import Split, normalise
from zoo.engines import find
from zoo.errors import ConfigError
from zoo.inference.inputs import report_skipped
from zoo.models.vae import VAE
from zoo.models.weights import load


@torch.no_grad()
def evaluate_elbo(
    model: VAE, split: Split, seed: int = 0, samples: int = 1, batch: int = 500
) -> dict[str, float]:
    """Average the negative ELBO over a split, in nats per image: nelbo, reconstruction, kl.

    Each image's expectation is estimated from `samples` draws of h. The noise is drawn on the CPU
    from `seed`, in the order of the images, so the result does not depend on the device, or beyond
    rounding on `batch`. β is not applied.
    """
    device = next(model.parameters()).device
    noise = torch.Generator().manual_seed(seed)
    training = model.training
    model.eval()
    reconstruction = kl = 0.0
    for _ in range(samples):
        # Drawn at once, since PyTorch's numbers depend on how many are drawn at a time.
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


def measure_elbo(
    source: Path, data: str | None = None, split: str = "test", samples: int = 1, seed: int = 0
) -> list[str]:
    """Measure the ELBO of a VAE on a split of a data set, by default its training data.

    `source` is the folder of a run, a weights file, an engine file, or the name of a shipped one.
    Returns lines of text. Raises ConfigError, DataError, TrainingError.
    """
    if not source.exists():
        source = find(source) or source
    model, config = load(source)
    if not isinstance(model, VAE):
        raise ConfigError(f"{source} is a {config['model']}, which has no ELBO")
    shape = model.config
    loaded = sets.load(data or config["recipe"]["data"], shape.image_size, shape.channels)
    report_skipped(loaded)
    part = loaded.parts[split]
    measured = evaluate_elbo(model, part, seed=seed, samples=samples)
    summary = f"{source}: {len(part):,} {split} images of {loaded.name}, {samples} sample(s)"
    return [summary, *(f"{name:15} {value:.3f} nats per image" for name, value in measured.items())]
