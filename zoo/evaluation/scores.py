"""FID, KID and Inception score, by torchmetrics, of features that were measured once.

Heusel et al. 2017 (arXiv:1706.08500); Bińkowski et al. 2018 (arXiv:1801.01401), section 4.1;
Salimans et al. 2016 (arXiv:1606.03498), section 4. The features are any network's: what is called
the Inception score of another network is the same formula on its class probabilities.
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
"""Subsets that KID is the mean over, and images in each (half of them where there are few)."""

SPLITS = 10
"""Parts that the Inception score is the mean over."""


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of a metric over subsets."""

    mean: float
    std: float


class FeatureModule(nn.Module):
    """A feature network as torchmetrics takes it, in its argument `feature`.

    Images uint8 [N, C, H, W] to features [N, F]; with `logits` to log-probabilities [N, K], which
    `InceptionScore` wants.

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


class _Given(nn.Module):
    """Features as they are: in place of images, torchmetrics is given what they measured."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, features: Tensor) -> Tensor:
        return features


def frechet(generated: Features, real: Features) -> float:
    """The Fréchet distance of features [N, F] and [M, F], in float64.

    Raises `DataError` for fewer than two images, ConfigError without torchmetrics; so do the
    others.
    """
    _check(generated, real, 2)
    module = require("torchmetrics.image.fid", "evaluate")
    with _quiet():
        metric = module.FrechetInceptionDistance(feature=_Given(real.shape[1]))
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
    """The kernel distance: unbiased squared MMD with (γ x·y + 1)³, over random subsets.

    γ is 1 / F by default, which suits features of about 1, as Inception's are. A subset has `size`
    images, by default `SUBSET`, or half of the smaller set.
    """
    _check(generated, real, 4)
    size = size or min(SUBSET, len(generated) // 2, len(real) // 2)
    module = require("torchmetrics.image.kid", "evaluate")
    with _quiet(seed):
        metric = module.KernelInceptionDistance(
            feature=_Given(real.shape[1]), subsets=SUBSETS, subset_size=size, gamma=gamma
        )
        metric.update(torch.from_numpy(real).float(), real=True)
        metric.update(torch.from_numpy(generated).float(), real=False)
        mean, std = metric.compute()
    return Spread(float(mean), float(std))


def inception_score(probabilities: Features, seed: int = 0) -> Spread:
    """exp E KL(p(y|x) ‖ p(y)) of class probabilities [N, K]: 1 at worst, K at best."""
    _check(probabilities, probabilities, 2)
    splits = min(SPLITS, len(probabilities))
    module = require("torchmetrics.image.inception", "evaluate")
    with _quiet(seed):
        metric = module.InceptionScore(feature=_Given(probabilities.shape[1]), splits=splits)
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
def _quiet(seed: int = 0) -> Iterator[None]:
    """Subsets drawn by a seed, and by nobody else; no advice about memory."""
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        yield


__all__ = ["FeatureModule", "Spread", "frechet", "inception_score", "kernel"]
