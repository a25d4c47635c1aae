"""FID, KID and Inception score of measured features, computed by torchmetrics.

Heusel et al. 2017 (arXiv:1706.08500); Bińkowski et al. 2018 (arXiv:1801.01401), section 4.1;
Salimans et al. 2016 (arXiv:1606.03498), section 4. The features may come from any network; for
another network than Inception, the Inception score is the same formula on its probabilities.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zoo.errors import DataError
from zoo.evaluation.features import FeatureNetwork
from zoo.optional import require

Features = NDArray[np.floating]

SUBSETS = 50
SUBSET = 1000
"""Number of KID's subsets, and of images in each (half of all if there are few)."""

SPLITS = 10
"""Number of parts over which the Inception score is averaged."""


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of a metric over subsets."""

    mean: float
    std: float


class FeatureModule(nn.Module):
    """Feature network for the argument `feature` of torchmetrics.

    Maps images uint8 [N, C, H, W] to features [N, F], or with `logits` to log-probabilities [N, K]
    for `InceptionScore`.

    >>> FrechetInceptionDistance(feature=FeatureModule(network))
    """

    def __init__(self, network: FeatureNetwork, logits: bool = False) -> None:
        super().__init__()
        self.network, self.logits = network, logits
        self.num_features = len(network.classes) if logits else network.width

    def forward(self, images: Tensor) -> Tensor:
        """Measure the images."""
        levels = np.ascontiguousarray(images.permute(0, 2, 3, 1).cpu().numpy())
        features, probabilities = self.network(levels)
        if self.logits:
            if probabilities is None:
                raise DataError(f"{self.network.name} gives no class probabilities")
            return _logarithms(probabilities)
        return torch.from_numpy(features)


class _Identity(nn.Module):
    """Identity, with which torchmetrics takes measured features instead of images."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, features: Tensor) -> Tensor:
        return features


def frechet(generated: Features, real: Features) -> float:
    """Return the Fréchet distance of features [N, F] and [M, F], in float64.

    Like the other functions, raises `DataError` for too few images and ConfigError without
    torchmetrics.
    """
    _check(generated, real, 2)
    module = require("torchmetrics.image.fid", "evaluate")
    with _isolated_torch():
        metric = module.FrechetInceptionDistance(feature=_Identity(real.shape[1]))
        metric.set_dtype(torch.float64)
        metric.update(torch.from_numpy(real).double(), real=True)
        metric.update(torch.from_numpy(generated).double(), real=False)
        return max(float(metric.compute()), 0.0)


def kernel(
    generated: Features,
    real: Features,
    gamma: float | None = None,
    size: int | None = None,
    seed: int = 0,
) -> Spread:
    """Return the kernel distance: unbiased squared MMD with (γ x·y + 1)³, over random subsets.

    γ is 1 / F by default, which suits features of magnitude 1 such as Inception's. A subset has
    `size` images, by default `SUBSET`, or half of the smaller set.
    """
    _check(generated, real, 4)
    size = size or min(SUBSET, len(generated) // 2, len(real) // 2)
    module = require("torchmetrics.image.kid", "evaluate")
    with _isolated_torch(seed):
        metric = module.KernelInceptionDistance(
            feature=_Identity(real.shape[1]), subsets=SUBSETS, subset_size=size, gamma=gamma
        )
        metric.update(torch.from_numpy(real).float(), real=True)
        metric.update(torch.from_numpy(generated).float(), real=False)
        mean, std = metric.compute()
    return Spread(float(mean), float(std))


def inception_score(probabilities: Features, seed: int = 0) -> Spread:
    """Return exp E KL(p(y|x) ‖ p(y)) of class probabilities [N, K], from 1 (worst) to K."""
    _check(probabilities, probabilities, 2)
    splits = min(SPLITS, len(probabilities))
    module = require("torchmetrics.image.inception", "evaluate")
    with _isolated_torch(seed):
        metric = module.InceptionScore(feature=_Identity(probabilities.shape[1]), splits=splits)
        metric.update(_logarithms(probabilities))
        mean, std = metric.compute()
    return Spread(float(mean), float(std))


def _logarithms(probabilities: Features) -> Tensor:
    logarithms: Tensor = torch.from_numpy(probabilities).double().clamp(min=1e-30).log()
    return logarithms


def _check(generated: Any, real: Any, least: int) -> None:
    for name, rows in (("generated", generated), ("real", real)):
        if rows.ndim != 2 or rows.shape[1] != real.shape[1]:
            raise DataError(f"{name} features: expected [N, F], got {list(rows.shape)}")
        if len(rows) < least:
            raise DataError(f"a distance needs at least {least} images, got {len(rows)}")


@contextmanager
def _isolated_torch(seed: int = 0) -> Iterator[None]:
    """Seed PyTorch's generator, restore it afterwards, and suppress warnings about memory."""
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        yield
