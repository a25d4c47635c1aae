"""Image noise: Gaussian, salt and pepper, masking."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from runtime import noise

Images = NDArray[np.uint8]
Levels = NDArray[np.float64]

GAUSSIAN_STREAM = 65
SALT_PEPPER_STREAM = 66
MASKING_STREAM = 67
"""Streams of the noise contract; 0 … 63 belong to the engines, 64 to the levels, 68 to holes."""


def gaussian(images: Images, sigma: Levels, seed: int, first: int = 0) -> Images:
    """Add 255·sigma·ε to images [n, H, W, C], round and clip; sigma [n] in units of the range."""
    scale = (255 * sigma).astype(np.float32)[:, None]
    values = noise.normals(seed, first, len(images), images[0].size, GAUSSIAN_STREAM)
    values *= scale
    values += images.reshape(len(images), -1)
    values += np.float32(0.5)
    # For non-negative numbers the cast is the floor.
    np.clip(values, 0, 255, out=values)
    return values.astype(np.uint8).reshape(images.shape)


def salt_pepper(images: Images, share: Levels, seed: int, first: int = 0) -> Images:
    """Set pixels, all channels together, to 0 or 255 with probability share[n]/2 each.

    Pixels in the lower tail of ε become pepper, those in the upper tail salt.
    """
    values = _pixel_normals(images, seed, first, SALT_PEPPER_STREAM)
    tail = _quantiles(share / 2)
    corrupted = np.where((values < tail)[..., None], np.uint8(0), images)
    corrupted[values > -tail] = 255
    return corrupted


def masking(images: Images, share: Levels, seed: int, first: int = 0) -> Images:
    """Set pixels, all channels together, to 0 with probability share[n].

    Vincent et al., "Stacked Denoising Autoencoders", JMLR 11 (2010), section 3.3.
    """
    values = _pixel_normals(images, seed, first, MASKING_STREAM)
    return np.where((values < _quantiles(share))[..., None], np.uint8(0), images)


def _pixel_normals(images: Images, seed: int, first: int, stream: int) -> NDArray[np.float32]:
    n, height, width, _ = images.shape
    return noise.normals(seed, first, n, height * width, stream).reshape(n, height, width)


def _quantiles(share: Levels) -> NDArray[np.float32]:
    """Return z [n, 1, 1] with P(ε < z) = share."""
    inverse = NormalDist().inv_cdf
    z = [inverse(p) if 0 < p < 1 else np.copysign(np.inf, p - 0.5) for p in share.tolist()]
    return np.array(z, np.float32)[:, None, None]
