"""Linear autoencoder: one hidden layer without activation, squared error.

At the optimum the decoder's columns span the subspace of the first D principal components (Bourlard
& Kamp 1988; Baldi & Hornik 1989; *Deep Learning*, section 14.1).
"""

from __future__ import annotations

from zoo.models.autoencoder import Autoencoder, DenseConfig, DenseDecoder, DenseEncoder


class LinearAE(Autoencoder):
    """f(x) = Wx + b, g(h) = Vh + c."""

    def __init__(self, config: DenseConfig | None = None) -> None:
        super().__init__(config or DenseConfig(latent=16))
        self.encoder = DenseEncoder(self.config)
        self.decoder = DenseDecoder(self.config, image="linear")
