"""Adversarial losses, and the gradient penalties that regularise a discriminator.

Scores are logits: D(x) = sigmoid(score). All functions return means over the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

Score = Callable[[Tensor], Tensor]


def _log_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return -log D(x) - log(1 - D(G(z))), the negative of Goodfellow et al. 2014, equation 1."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


class GeneratorLoss(Protocol):
    """Generator loss of fake scores, and of real scores in a relativistic game."""

    def __call__(self, fake: Tensor, real: Tensor | None = None) -> Tensor: ...


@dataclass(frozen=True)
class Game:
    """Losses of both players, functions of the scores of as many real and fake images.

    They are called as `discriminator(real, fake)` and `generator(fake, real)`; `real` may be None
    unless `relative`.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: GeneratorLoss
    relative: bool = False


def _saturating(fake: Tensor, real: Tensor | None = None) -> Tensor:
    return -F.softplus(fake).mean()


def _nonsaturating(fake: Tensor, real: Tensor | None = None) -> Tensor:
    return F.softplus(-fake).mean()


def _critic(fake: Tensor, real: Tensor | None = None) -> Tensor:
    return -fake.mean()


def _pairs(fake: Tensor, real: Tensor | None = None) -> Tensor:
    assert real is not None
    return F.softplus(real - fake).mean()


GAMES = {
    # Goodfellow et al. 2014, equation 1: the generator lowers log(1 - D(G(z))).
    "minimax": Game(_log_loss, _saturating),
    # The same, section 3: the generator raises log D(G(z)), whose gradient does not vanish.
    "nonsaturating": Game(_log_loss, _nonsaturating),
    # Arjovsky et al. 2017 (arXiv:1701.07875), equation 2.
    "wasserstein": Game(lambda real, fake: fake.mean() - real.mean(), _critic),
    # Relativistic pairs (Jolicoeur-Martineau 2018, arXiv:1807.00734, section 4.1; Huang et al.
    # 2024, arXiv:2501.05441, equation 2): a real image is to look more real than a fake one.
    "pairs": Game(lambda real, fake: F.softplus(fake - real).mean(), _pairs, relative=True),
}


def level_term(real: Tensor, fake: Tensor) -> Tensor:
    """Return (mean D(x) + mean D(G(z)))², to fix the mean score that pair losses leave free."""
    return (real.mean() + fake.mean()).square()


def _input_gradients(score: Score, images: Tensor) -> Tensor:
    """Return ∂ score / ∂ images, [N, …], differentiable."""
    with torch.enable_grad(), torch.autocast(images.device.type, enabled=False):
        images = images.detach().float().requires_grad_(True)
        (gradients,) = torch.autograd.grad(score(images).sum(), images, create_graph=True)
    return gradients


def r1_penalty(score: Score, real: Tensor) -> Tensor:
    """Return E ‖∇D(x)‖² on real images [N, …] (Mescheder et al. 2018, arXiv:1801.04406, eq. 9).

    Computed in full precision. The paper's loss has γ/2 times this.
    """
    return _input_gradients(score, real).square().flatten(1).sum(1).mean()


def gradient_penalty(score: Score, real: Tensor, fake: Tensor) -> Tensor:
    """Return E (‖∇D(x̂)‖ - 1)², x̂ between real and fake (Gulrajani et al. 2017, arXiv:1704.00028).

    Equation 3, in full precision. Each x̂ [N, …] is at a random position on its line.
    """
    where = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
    between = torch.lerp(real.float(), fake.detach().float(), where)
    norms = _input_gradients(score, between).square().flatten(1).sum(1).add(1e-12).sqrt()
    return (norms - 1).square().mean()
