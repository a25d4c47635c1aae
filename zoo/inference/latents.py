"""Latents of images, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from runtime import Encoder, Generator
from zoo.errors import DataError
from zoo.images.stream import Block

Latents = NDArray[np.float32]

_ROWS = 256


def embed_blocks(encoder: Encoder, source: Iterable[Block]) -> Iterator[tuple[Latents, Block]]:
    """Yield the latents [k, D] (the encoder's μ) of each block of images, and the block.

    Raises DataError for a latent that is not finite, and the errors of `source` and the runtime.
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
    """Return the latents [n, D] of all images, and their names. Raises as `embed_blocks`."""
    parts: list[Latents] = []
    names: list[str] = []
    for latents, block in embed_blocks(encoder, source):
        parts.append(latents)
        names += block.names
    return np.concatenate(parts), names


def pixels(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Convert images uint8 [n, H, W, C] to vectors [n, H·W·C] in [0, 1], a baseline for latents."""
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


def reconstruct(
    encoder: Encoder, generator: Generator, images: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Decode the latents of images uint8 [n, H, W, C] to uint8 [n, H, W, C].

    Raises runtime.errors.ArgumentError for another shape or dtype.
    """
    return np.concatenate(
        [
            generator.decode(encoder.embed(images[start : start + _ROWS]))
            for start in range(0, len(images), _ROWS)
        ]
    )
