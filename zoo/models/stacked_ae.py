"""Stacked autoencoder: deep, and pretrained greedily, layer by layer, if asked to.

Hinton & Salakhutdinov 2006; Bengio, Lamblin, Popovici & Larochelle 2007, appendix: layer i is
trained, as an autoencoder of one layer, to reconstruct the code of the layers before it; then all
layers are trained together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from zoo.errors import ConfigError
from zoo.models.autoencoder import Autoencoder, DenseConfig, DenseDecoder, DenseEncoder


@dataclass(frozen=True)
class StackedConfig(DenseConfig):
    """Sizes of a `StackedAE`; `pretrain_epochs` are the epochs for each layer (0: none)."""

    latent: int = 16
    hidden: tuple[int, ...] = (200, 100, 50)
    pretrain_epochs: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        epochs = self.pretrain_epochs
        if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 0:
            raise ConfigError(f"pretrain_epochs must be 0 or more, got {epochs!r}")


class StackedAE(Autoencoder):
    """Several ReLU layers down to h and as many up."""

    def __init__(self, config: StackedConfig | None = None) -> None:
        super().__init__(config or StackedConfig())
        self.encoder = DenseEncoder(self.config)
        self.decoder = DenseDecoder(self.config)

    def pairs(self) -> Iterator[tuple[nn.Sequential, nn.Sequential]]:
        """Each layer of the encoder with the layer of the decoder that undoes it, outermost first.

        Both with the activation that follows them in the whole network.
        """
        down, up = list(self.encoder.layers), list(self.decoder.layers)
        for layer in range(len(self.config.hidden) + 1):
            start = 2 * layer
            end = len(up) - start
            yield nn.Sequential(*down[start : start + 2]), nn.Sequential(*up[end - 2 : end])
