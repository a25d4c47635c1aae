"""Progressive growing (Karras et al. 2017, arXiv:1710.10196, section 2).

Both networks begin at 4×4 pixels. From time to time a block for twice the resolution is faded in:
its output and the upsampled old one are blended with a weight α that rises from 0 to 1. The stage
follows from the number of images shown so far, a buffer of every network.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import ConfigError
from zoo.models.options import is_count

SMALLEST = 4
"""Side of the first resolution, in pixels."""


class Growth(nn.Module):
    """Schedule of growing, and its state: `seen` images, int64.

    Resolution l, of side 4 · 2^l, is trained for `stable[l]` images, then the next is faded in over
    `fade[l]` more; the last one stays.
    """

    seen: Tensor

    def __init__(self, stable: tuple[int, ...], fade: tuple[int, ...]) -> None:
        super().__init__()
        self.stable, self.fade = stable, fade
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    @property
    def total(self) -> int:
        """Number of images after which the networks are fully grown."""
        return sum(self.stable) + sum(self.fade)

    def stage(self) -> tuple[int, float]:
        """Return the current resolution's level, from 0, and the α of its block."""
        left = int(self.seen)
        for level, (stable, fade) in enumerate(zip(self.stable, self.fade, strict=True)):
            if left < stable:
                return level, 1.0
            left -= stable
            if left < fade:
                return level + 1, left / fade
            left -= fade
        return len(self.stable), 1.0

    def side(self) -> int:
        """Return the current side of the images, in pixels."""
        return SMALLEST << self.stage()[0]

    def check_whole(self) -> None:
        """Raise `ConfigError` if growing has begun but is not finished."""
        if 0 < int(self.seen) < self.total:
            raise ConfigError(
                f"the network is still growing: seen = {int(self.seen)} images, "
                f"expected the {self.total} of its schedule; train on"
            )


def grow(model: nn.Module, images: int) -> None:
    """Add to the count of images that all networks of a model have seen."""
    for module in model.modules():
        if isinstance(module, Growth):
            module.seen += images


def enlarge(images: Tensor, side: int) -> Tensor:
    """Repeat the pixels of [N, C, S, S] until they are `side` × `side`."""
    return images if images.shape[-1] == side else F.interpolate(images, size=side)


def reduce(images: Tensor, side: int) -> Tensor:
    """Average the pixels of [N, C, S, S] until they are `side` × `side`."""
    factor = images.shape[-1] // side
    return images if factor <= 1 else F.avg_pool2d(images, factor)


def blend(old: Tensor, new: Tensor, alpha: float) -> Tensor:
    """Blend images [N, C, S, S]: (1 - α) old + α new; `old` may be smaller."""
    return torch.lerp(enlarge(old, new.shape[-1]), new, alpha)


def match_resolution(images: Tensor, growth: Growth) -> Tensor:
    """Reduce real images [N, C, S, S] to the current resolution, blended like the generator's."""
    level, alpha = growth.stage()
    images = reduce(images, SMALLEST << level)
    if alpha < 1:
        images = blend(reduce(images, SMALLEST << (level - 1)), images, alpha)
    return images


def count_resolutions(image_size: int) -> int:
    """Return the number of resolutions from 4×4 on; raises `ConfigError` for an invalid size."""
    if not is_count(image_size) or image_size < SMALLEST or image_size & (image_size - 1):
        raise ConfigError(f"image_size must be a power of 2 of at least 4, got {image_size!r}")
    return image_size.bit_length() - SMALLEST.bit_length() + 1


def as_schedule(config: Any, name: str, steps: int) -> None:
    """Convert a field to a tuple of `steps` image counts; a single number applies to all steps."""
    value = getattr(config, name)
    counts = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if not all(is_count(count) or (count == 0 and type(count) is int) for count in counts):
        raise ConfigError(f"{name} must be integers of at least 0, got {list(counts)}")
    if len(counts) == 1:
        counts *= steps
    if len(counts) != steps:
        raise ConfigError(f"{name} must be 1 or {steps} integers, got {len(counts)}")
    object.__setattr__(config, name, counts)
