"""Latents of images, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError
from zoo.images.stream import Block

if TYPE_CHECKING:
    from runtime import Encoder

Latents = NDArray[np.float32]


def embed_blocks(encoder: Encoder, source: Iterable[Block]) -> Iterator[tuple[Latents, Block]]:
    """The latents [k, D] of each block of images (the encoder's μ), and the block.

    Raises DataError for a latent that is not finite, and what `source` and the runtime raise.
    """
    for block in source:
        latents = encoder.embed(block.images)
        if not np.isfinite(latents).all():
            first = int(np.argmin(np.isfinite(latents).all(axis=1)))
            raise DataError(
                f"{encoder.path} gives image {block.names[first]} a latent that is not finite"
            )
        yield latents, block


def embed(encoder: Encoder, source: Iterable[Block]) -> tuple[Latents, list[str]]:
    """The latents [n, D] of all images, and their names. Raises as `embed_blocks`."""
    parts: list[Latents] = []
    names: list[str] = []
    for latents, block in embed_blocks(encoder, source):
        parts.append(latents)
        names += block.names
    return np.concatenate(parts), names


__all__ = ["Latents", "embed", "embed_blocks"]
