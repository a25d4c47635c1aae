"""Principal component analysis as a baseline of autoencoders.

Baldi & Hornik, "Neural networks and principal component analysis: learning from examples without
local minima", Neural Networks 1989: PCA is the linear autoencoder with the least squared error.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import Encoder, Generator
from zoo.images.stream import Block
from zoo.inference.latents import embed_blocks, pixels
from zoo.optional import require
from zoo.tables import align_columns


@dataclass(frozen=True)
class Comparison:
    """Mean squared errors per pixel, of values in [0, 1], of PCA and an autoencoder.

    `components` is the number of PCA's components: the latent's width, or the dimension of the
    training images if that is smaller.
    """

    images: int
    width: int
    components: int
    pca: float
    engine: float

    @property
    def ratio(self) -> float:
        """The engine's error over PCA's; below 1 the engine is better."""
        return self.engine / self.pca if self.pca else float("inf")


def fit(images: NDArray[np.uint8], components: int) -> Any:
    """Fit scikit-learn's PCA to images uint8 [n, H, W, C] with pixels scaled to [0, 1]."""
    decomposition = require("sklearn.decomposition")
    vectors = pixels(images)
    return decomposition.PCA(min(components, *vectors.shape), random_state=0).fit(vectors)


def compare(
    encoder: Encoder, generator: Generator, source: Iterable[Block], pca: Any
) -> Comparison:
    """Measure the errors of an autoencoder and of PCA (from `fit`) on the images of `source`.

    PCA's reconstructions are clipped to [0, 1], like the engine's 8-bit images.
    """
    count, engine_sum, pca_sum, values = 0, 0.0, 0.0, 1
    for latents, block in embed_blocks(encoder, source):
        originals = pixels(block.images)
        linear = np.clip(pca.inverse_transform(pca.transform(originals)), 0, 1)
        decoded = pixels(generator.decode(latents))
        pca_sum += float(np.square(originals - linear, dtype=np.float64).sum())
        engine_sum += float(np.square(originals - decoded, dtype=np.float64).sum())
        count += len(originals)
        values = originals.shape[1]
    return Comparison(
        count,
        encoder.latent_width,
        int(pca.n_components_),
        pca_sum / (count * values),
        engine_sum / (count * values),
    )


def table(found: Comparison, name: str) -> list[str]:
    """Format a comparison with PCA as a table."""
    k = str(found.width)
    if found.components != found.width:
        k += f" (PCA {found.components})"
    rows = [
        ("k", "PCA error", f"{name} error", "ratio"),
        (k, f"{found.pca:.6f}", f"{found.engine:.6f}", f"{found.ratio:.3f}"),
    ]
    head = f"mean squared error per pixel on [0, 1], {found.images:,} images"
    return [head, *align_columns(rows, right=range(4))]
