"""Uniform numbers of the noise contract, vectorised over images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ArgumentError

_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


def philox_words(seed: int, first: int, n: int, width: int, stream: int) -> NDArray[np.uint64]:
    """Return 32-bit words 0 … width - 1 of images first … first + n - 1, [n, width].

    Philox4x32-10 (Salmon et al., SC 2011) with the counters and key of runtime.noise.
    Raises ArgumentError.
    """
    if not (0 <= seed < 2**64 and 0 <= first and first + n <= 2**64):
        raise ArgumentError(
            f"seed and first must fit in 64 bits, got {seed} and {first} for {n} images"
        )
    blocks = np.arange(-(-width // 4), dtype=np.uint64)[None, :]
    samples = (np.uint64(first) + np.arange(n, dtype=np.uint64))[:, None]
    x, y, z, w = np.broadcast_arrays(blocks, np.uint64(stream), samples & _MASK, samples >> _SHIFT)
    key0, key1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = x * np.uint64(0xD2511F53), z * np.uint64(0xCD9E8D57)
        x, y = (p1 >> _SHIFT) ^ y ^ np.uint64(key0), p1 & _MASK
        z, w = (p0 >> _SHIFT) ^ w ^ np.uint64(key1), p0 & _MASK
        key0, key1 = (key0 + 0x9E3779B9) & 0xFFFFFFFF, (key1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([x, y, z, w], axis=-1).reshape(n, -1)[:, :width]


def uniforms(seed: int, first: int, n: int, width: int, stream: int) -> NDArray[np.float64]:
    """Return (word + 1/2) / 2³² [n, width], uniform in (0, 1). Raises ArgumentError."""
    return (philox_words(seed, first, n, width, stream).astype(np.float64) + 0.5) * 2.0**-32
