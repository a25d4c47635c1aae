"""Statistics of the latents of the training images, for the manifest."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from export import mixture as mixtures
from export.checkpoint import LatentCheckpoint
from export.mixture import GaussianMixture
from zoo.applications.editing import direction
from zoo.data import DataSet, Split, normalise

_BATCH = 500


@dataclass(frozen=True)
class LatentStatistics:
    """Mean and standard deviation of each latent value [D], and a direction [D] per attribute.

    `mean` and `std` are those of encoded images, None without an encoder. `mixture` is the learned
    prior, None without an encoder that returns a variance. `of_styles` are
    directions in the styles of all layers, [layers * W]. `judge` describes the classifier of the
    attributes, if they do not come from the data.
    """

    mean: list[float] | None = None
    std: list[float] | None = None
    directions: dict[str, list[float]] = field(default_factory=dict)
    of_styles: dict[str, list[float]] = field(default_factory=dict)
    judge: str = ""
    mixture: GaussianMixture | None = None


def measure(checkpoint: LatentCheckpoint, data: DataSet) -> LatentStatistics:
    """Measure the statistics of mu over the training images of a checkpoint with an encoder.

    A direction is the mean latent of the images with the attribute minus the mean latent of those
    without it (Larsen et al. 2016, section 4.2). Attributes of all images or of none are omitted.
    """
    latents, deviations = _encode(checkpoint, data.train)
    directions = {}
    if data.train.attributes is not None:
        for name, column in zip(data.attributes, data.train.attributes.T, strict=True):
            has = column > 0
            if 0 < has.sum() < len(has):
                directions[name] = round_digits(direction(latents, has))
    mean, std = round_digits(latents.mean(0)), round_digits(latents.std(0))
    mixture = None
    if deviations is not None and checkpoint.prior == "normal" and not checkpoint.classes:
        random = np.random.default_rng(mixtures.SEED)
        drawn = latents + deviations * random.standard_normal(latents.shape)
        held_out, spread = _encode(checkpoint, data.parts["validation"])
        assert spread is not None
        held_out += spread * random.standard_normal(held_out.shape)
        mixture = mixtures.choose(drawn, held_out)
    return LatentStatistics(mean, std, directions, mixture=mixture)


@torch.no_grad()
def _encode(
    checkpoint: LatentCheckpoint, split: Split
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return mu and sigma [n, D] of each image; no sigma from a deterministic encoder."""
    assert checkpoint.encoder is not None
    means, deviations = [], []
    for start in range(0, len(split), _BATCH):
        images = torch.from_numpy(normalise(split.images[start : start + _BATCH]))
        encoded = checkpoint.encoder(images)
        means.append((encoded if checkpoint.deterministic else encoded[0]).numpy())
        if not checkpoint.deterministic:
            deviations.append((encoded[1] / 2).exp().numpy())
    mu = np.concatenate(means).astype(np.float64)
    return mu, np.concatenate(deviations).astype(np.float64) if deviations else None


def round_digits(values: NDArray[np.floating]) -> list[float]:
    """Round to six significant digits, which float32 holds."""
    return [float(f"{value:.6g}") for value in values]
