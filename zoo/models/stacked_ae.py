"""Stacked autoencoder: deep, with optional greedy layer-wise pretraining.

Hinton & Salakhutdinov 2006; Bengio, Lamblin, Popovici & Larochelle 2007, appendix: each layer is
pretrained as a one-layer autoencoder on the code of the layers before it; then all layers are
trained together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from zoo.errors import ConfigError
from zoo.models.autoencoder import Autoencoder, DenseConfig, DenseDecoder, DenseEncoder


@dataclass(frozen=True)
class StackedConfig(DenseConfig):
    """Sizes of a `StackedAE`; each layer is pretrained for `pretrain_epochs` (0: not at all)."""

    latent: int = 16
    hidden: tuple[int, ...] = (200, 100, 50)
    pretrain_epochs: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        epochs = self.pretrain_epochs
        if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 0:
            raise ConfigError(f"pretrain_epochs must be 0 or more, got {epochs!r}")


class StackedAE(Autoencoder):
    """Autoencoder with several ReLU layers in the encoder and as many in the decoder."""

    def __init__(self, config: StackedConfig | None = None) -> None:
        super().__init__(config or StackedConfig())
        self.encoder = DenseEncoder(self.config)
        self.decoder = DenseDecoder(self.config)

    def pairs(self) -> Iterator[tuple[nn.Sequential, nn.Sequential]]:
        """Yield each encoder layer and the decoder layer that inverts it, outermost first.

        Both include the activation that follows them in the whole network.
        """
        down, up = list(self.encoder.layers), list(self.decoder.layers)
        for layer in range(len(self.config.hidden) + 1):
            start = 2 * layer
            end = len(up) - start
            yield nn.Sequential(*down[start : start + 2]), nn.Sequential(*up[end - 2 : end])
