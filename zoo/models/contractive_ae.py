"""Contractive autoencoder: squared error + λ·‖∂f(x)/∂x‖²_F.

Rifai, Vincent, Muller, Glorot & Bengio 2011; *Deep Learning*, section 14.7.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.models.autoencoder import Autoencoder, DenseConfig, DenseDecoder, DenseEncoder
from zoo.models.options import check_numbers


@dataclass(frozen=True)
class ContractiveConfig(DenseConfig):
    """Options of a `ContractiveAE`; `strength` is λ. Without `hidden` layers the norm is exact."""

    latent: int = 128
    strength: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, "strength")


class ContractiveAE(Autoencoder):
    """Autoencoder with logistic units h, whose loss includes the norm of the encoder's Jacobian."""

    def __init__(self, config: ContractiveConfig | None = None) -> None:
        super().__init__(config or ContractiveConfig())
        self.encoder = DenseEncoder(self.config, "sigmoid")
        self.decoder = DenseDecoder(self.config)

    def jacobian_norm(self, images: Tensor) -> Tensor:
        """Return ‖∂f(x)/∂x‖²_F of each image, [N]: exact for one layer, else an unbiased estimate.

        One layer (equation 9 of the paper): Σ_j (h_j(1 − h_j))²·Σ_i W_ji². Deeper: ‖vᵀJ‖² with
        v ~ N(0, I), whose expectation is the norm (Hutchinson 1990).
        """
        if not self.config.hidden:
            return self._exact_norm(self.encoder(images))
        with torch.enable_grad():
            x = images.detach().requires_grad_()
            h = self.encoder(x).float()
            v = torch.randn_like(h)
            (product,) = torch.autograd.grad((h * v).sum(), x, create_graph=True)
        return product.float().square().flatten(1).sum(1)

    def _exact_norm(self, h: Tensor) -> Tensor:
        h, weight = h.float(), self.encoder.layers[0].weight.float()
        return (h * (1 - h)).square() @ weight.square().sum(1)

    def penalty(self, h: Tensor, images: Tensor) -> Tensor:
        """Return λ·‖∂f(x)/∂x‖²_F, averaged over the batch."""
        # The exact norm follows from h, without a second pass of the encoder.
        norm = self.jacobian_norm(images) if self.config.hidden else self._exact_norm(h)
        return self.config.strength * norm.mean()

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        """Return mse and jacobian, the squared Frobenius norm of ∂f(x)/∂x."""
        return {**super().measure(images), "jacobian": self.jacobian_norm(images).detach()}
