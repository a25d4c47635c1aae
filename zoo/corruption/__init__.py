"""Image corruptions that translators are trained to undo.

All randomness is a pure function of the seed and of the image's index in the whole
run (runtime.noise), so an image is corrupted identically in any batch and any order.

>>> parse("gaussian:0.1-0.4").apply(images, seed=7, first=0)
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.corruption import noise
from zoo.corruption.holes import holes
from zoo.corruption.uniform import uniforms
from zoo.errors import ConfigError

Images = NDArray[np.uint8]

LEVEL_STREAM = 64

_NOISES = {
    "gaussian": noise.gaussian,
    "salt-pepper": noise.salt_pepper,
    "masking": noise.masking,
}
KINDS = (*_NOISES, "holes")

_EXPECTED = (
    "gaussian:S (sigma in units of the range), salt-pepper:P, masking:P (a share of the pixels), "
    "each also with a range such as gaussian:0.1-0.4, or holes"
)
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
_LEVELS = re.compile(f"({_NUMBER})(?:-({_NUMBER}))?")


@dataclass(frozen=True)
class Corruption:
    """Corruption with a level drawn uniformly from [`low`, `high`] for each image."""

    kind: str
    low: float = 0.0
    high: float = 0.0

    @property
    def alpha(self) -> bool:
        """True if an alpha channel is added, which marks known pixels."""
        return self.kind == "holes"

    def levels(self, n: int, seed: int, first: int = 0) -> NDArray[np.float64]:
        """Return the levels [n] of images first … first + n - 1."""
        if self.low == self.high:
            return np.full(n, self.low)
        fractions = uniforms(seed, first, n, 1, LEVEL_STREAM)[:, 0]
        return self.low + (self.high - self.low) * fractions

    def apply(self, images: Images, seed: int, first: int = 0) -> Images:
        """Corrupt images [n, H, W, C] uint8, which are images first … first + n - 1 of a seed.

        Returns the same shape, with an additional alpha channel for holes (see `with_alpha`).
        Raises runtime.errors.ArgumentError for a seed or an index of more than 64 bits.
        """
        n, height, width, _ = images.shape
        if n == 0:
            return with_alpha(images, images[..., :1]) if self.alpha else images.copy()
        if self.alpha:
            return with_alpha(images, holes(n, height, width, seed, first))
        return _NOISES[self.kind](images, self.levels(n, seed, first), seed, first)

    def __str__(self) -> str:
        if self.alpha:
            return self.kind
        levels = f"{self.low:g}" if self.low == self.high else f"{self.low:g}-{self.high:g}"
        return f"{self.kind}:{levels}"


def parse(spec: str) -> Corruption:
    """Parse a corruption: gaussian:S, salt-pepper:P, masking:P or holes.

    A level may be a range, as in gaussian:0.1-0.4. Raises ConfigError.
    """
    kind, colon, text = spec.partition(":")
    if kind == "holes" and not colon:
        return Corruption(kind)
    match = _LEVELS.fullmatch(text)
    if kind not in _NOISES or match is None:
        raise ConfigError(f"corruption {spec!r}: expected {_EXPECTED}")
    low = float(match[1])
    high = float(match[2]) if match[2] else low
    most = 10.0 if kind == "gaussian" else 1.0
    if not (low <= high <= most and math.isfinite(high)):
        raise ConfigError(
            f"corruption {spec!r}: expected levels from 0 to {most:g}, the lower one first"
        )
    return Corruption(kind, low, high)


def with_alpha(images: Images, masks: Images) -> Images:
    """Append masks [n, H, W, 1], 255 where known and 0 where hidden, to images [n, H, W, C].

    Returns [n, H, W, C + 1] with the colours of hidden pixels set to 0.
    """
    channels = images.shape[3]
    joined = np.empty((*images.shape[:3], channels + 1), np.uint8)
    for channel in range(channels):
        np.bitwise_and(images[..., channel], masks[..., 0], out=joined[..., channel])
    joined[..., channels] = masks[..., 0]
    return joined


def grey(images: Images) -> Images:
    """Convert [n, H, W, 3] to luma [n, H, W, 1], ITU-R BT.601 with Pillow's rounding."""
    red, green, blue = (images[..., i].astype(np.uint32) for i in range(3))
    luma = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
    return luma.astype(np.uint8)[..., None]


__all__ = ["KINDS", "Corruption", "grey", "holes", "parse", "with_alpha"]
