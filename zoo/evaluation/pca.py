"""Principal component analysis, the linear autoencoder of least squared error, to compare with.

Baldi & Hornik, "Neural networks and principal component analysis: learning from examples
without local minima", Neural Networks 1989: no linear encoder and decoder with k
latent values reconstruct the training images better.
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
    """Mean squared errors per pixel, on [0, 1], of reconstructions from k values an image.

    `components` is PCA's k: the latent's width, or less where the training images
    have no more dimensions.
    """

    images: int
    width: int
    components: int
    pca: float
    engine: float

    @property
    def ratio(self) -> float:
        """This engine's error in units of PCA's; below 1 it is the better one."""
        return self.engine / self.pca if self.pca else float("inf")


def fit(images: NDArray[np.uint8], components: int) -> Any:
    """scikit-learn's PCA of images uint8 [n, H, W, C], their pixels scaled to [0, 1]."""
    decomposition = require("sklearn.decomposition")
    vectors = pixels(images)
    return decomposition.PCA(min(components, *vectors.shape), random_state=0).fit(vectors)


def compare(
    encoder: Encoder, generator: Generator, source: Iterable[Block], pca: Any
) -> Comparison:
    """Errors of encode → decode and of PCA (from `fit`) on the images of `source`.

    Both reconstructions are images: PCA's are clipped to [0, 1], as the engine's 8-bit ones are.
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
    """A comparison with PCA as the lines of a small table."""
    k = str(found.width)
    if found.components != found.width:
        k += f" (PCA {found.components})"
    rows = [
        ("k", "PCA error", f"{name} error", "ratio"),
        (k, f"{found.pca:.6f}", f"{found.engine:.6f}", f"{found.ratio:.3f}"),
    ]
    said = f"mean squared error a pixel on [0, 1], {found.images:,} images"
    return [said, *align_columns(rows, right=range(4))]


__all__ = ["Comparison", "compare", "fit", "table"]
