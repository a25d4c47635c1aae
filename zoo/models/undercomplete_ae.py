"""Undercomplete autoencoder: dim(h) < dim(x), non-linear (*Deep Learning*, section 14.1)."""

from __future__ import annotations

from zoo.errors import ConfigError
from zoo.models.autoencoder import Autoencoder, DenseConfig, DenseDecoder, DenseEncoder


class UndercompleteAE(Autoencoder):
    """Fully connected f and g with ReLU; the bottleneck is the only constraint on h."""

    def __init__(self, config: DenseConfig | None = None) -> None:
        super().__init__(config or DenseConfig(hidden=(128,)))
        if self.config.latent >= self.config.pixels:
            raise ConfigError(
                f"latent must be below the image size of {self.config.pixels} values, "
                f"got {self.config.latent}"
            )
        self.encoder = DenseEncoder(self.config)
        self.decoder = DenseDecoder(self.config)
