"""Sparse autoencoders: few units of h are active for any one image.

*Deep Learning*, section 14.2.1. "l1" adds λ·Σ_i|a_i|; "kl" adds β·Σ_j KL(ρ ‖ ρ̂_j), ρ̂_j being the
mean activation of unit j over the minibatch (Ng 2011, *Sparse autoencoder*).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from zoo.errors import ConfigError
from zoo.models.autoencoder import Autoencoder, DenseConfig, DenseDecoder, DenseEncoder
from zoo.models.options import check_choice, check_numbers

ACTIVE = 1e-3
"""Activation above which a unit counts as active."""


@dataclass(frozen=True)
class SparseConfig(DenseConfig):
    """Options of a `SparseAE`: the `sparsity` penalty, λ or β as `strength`, and the target ρ.

    `unit_columns` bounds the columns of the decoder's first matrix, one per unit of h, to norms of
    at most 1. Otherwise they grow while the activations shrink, which defeats the penalty
    (Olshausen & Field 1996, Nature 381, bound them likewise).
    """

    latent: int = 196
    sparsity: Literal["l1", "kl"] = "l1"
    strength: float = 0.1
    rho: float = 0.05
    unit_columns: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self, "sparsity", "l1", "kl")
        check_numbers(self, "strength")
        check_numbers(self, "rho", positive=True)
        if self.rho >= 1:
            raise ConfigError(f"rho must be below 1, got {self.rho}")


def kl_sparsity(activations: Tensor, rho: float) -> Tensor:
    """Return Σ_j KL(ρ ‖ ρ̂_j) of activations [N, D] in (0, 1), a scalar in nats."""
    mean = activations.mean(0).clamp(1e-6, 1 - 1e-6)
    active = rho * (torch.log(torch.full_like(mean, rho)) - torch.log(mean))
    silent = (1 - rho) * (torch.log(torch.full_like(mean, 1 - rho)) - torch.log1p(-mean))
    return (active + silent).sum()


class SparseAE(Autoencoder):
    """Autoencoder with ReLU units and the L1 penalty, or logistic units and the KL penalty."""

    def __init__(self, config: SparseConfig | None = None) -> None:
        super().__init__(config or SparseConfig())
        code = "relu" if self.config.sparsity == "l1" else "sigmoid"
        self.encoder = DenseEncoder(self.config, code)
        self.decoder = DenseDecoder(self.config)

    @torch.no_grad()
    def constrain(self) -> None:
        """Rescale decoder columns longer than 1 to norm 1."""
        if self.config.unit_columns:
            cast(nn.Linear, self.decoder.layers[0]).weight.renorm_(2, 1, 1.0)

    def penalty(self, h: Tensor, images: Tensor) -> Tensor:
        """Return λ·Σ|a|, averaged over the batch, or β·Σ_j KL(ρ ‖ ρ̂_j)."""
        activations = h.float()
        if self.config.sparsity == "l1":
            return self.config.strength * activations.abs().sum(1).mean()
        return self.config.strength * kl_sparsity(activations, self.config.rho)

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        """Return mse; active, the share of units above 0.001; activation, the mean of all units."""
        h = self.encode(images)
        return {
            **super().measure(images),
            "active": (h > ACTIVE).float().mean(1),
            "activation": h.mean(1),
        }
