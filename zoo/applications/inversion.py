"""Inversion of a generator: the search for an image's latent by gradient descent.

Minimises ‖G(h) - x‖² over h with Adam (Lipton & Tripathi 2017, arXiv:1702.04782; Abdal et al. 2019,
arXiv:1904.03189 for the w of style-based generators). As there are many local minima, each image
gets many starts, which are reduced to one by successive halving.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.errors import ConfigError

Decode = Callable[[Tensor], Tensor]

ROUNDS = 4
"""Rounds of successive halving; after each but the last, a quarter of the starts continues."""

RATE = 0.2
"""Adam's learning rate, in units of the standard deviation of a latent's values."""


@dataclass(frozen=True)
class Inverted:
    """Latents float32 [n, D] of n images, and the mean squared errors [n] of the decoded images.

    Errors are those of the float image, in (levels / 255)².
    """

    latents: NDArray[np.float32]
    errors: NDArray[np.float64]


def invert(
    decode: Decode,
    images: NDArray[np.uint8],
    starts: NDArray[np.float32],
    steps: int = 800,
    scale: float = 1.0,
    seen: Callable[[int], None] = lambda count: None,
) -> Inverted:
    """Find latents whose images are nearest to `images` [n, H, W, C].

    `decode` maps latents [m, D] to images [m, C, H, W]. `starts` [n, S, D] has S points per
    image; `scale` is the standard deviation of a latent's values, which scales the learning rate.
    `steps` is the number of steps of the best start. `seen` is called after each image. Raises
    ConfigError for invalid arguments, and if the search diverges.
    """
    if starts.ndim != 3 or len(starts) != len(images) or 0 in starts.shape:
        raise ConfigError(f"starts: expected shape ({len(images)}, S, D), got {starts.shape}")
    if steps < ROUNDS:
        raise ConfigError(f"steps: expected at least {ROUNDS}, got {steps}")
    latents, errors = [], []
    for image, own in zip(images, starts, strict=True):
        target = torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255
        latent, error = _search(decode, target, torch.from_numpy(own.copy()), steps, scale)
        if not np.isfinite(error):
            raise ConfigError("the search diverged: use a smaller scale")
        latents.append(latent)
        errors.append(error)
        seen(1)
    return Inverted(np.stack(latents), np.array(errors))


def _search(
    decode: Decode, target: Tensor, latents: Tensor, steps: int, scale: float
) -> tuple[NDArray[np.float32], float]:
    """Return the best latent [D] from starts [S, D], and its error."""
    done = 0
    for number in range(ROUNDS):
        end = steps * (number + 1) // ROUNDS
        latents, losses = _descend(decode, target, latents, end - done, done, steps, scale)
        done = end
        keep = 1 if number == ROUNDS - 1 else max(1, len(latents) // 4)
        latents = latents[losses.argsort()[:keep]]
    with torch.no_grad():
        error = float((decode(latents).clamp(0, 1) - target).square().mean())
    return latents[0].numpy(), error


def _descend(
    decode: Decode,
    target: Tensor,
    latents: Tensor,
    length: int,
    done: int,
    steps: int,
    scale: float,
) -> tuple[Tensor, Tensor]:
    """Run `length` steps of Adam from each row independently; return the rows and losses [S]."""
    rows = latents.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([rows], RATE * scale, betas=(0.9, 0.99))
    for step in range(length):
        for group in optimizer.param_groups:
            group["lr"] = RATE * scale * (1 + np.cos(np.pi * (done + step) / steps)) / 2
        optimizer.zero_grad()
        # With the sum over rows, the gradient of a row does not depend on the others.
        _losses(decode(rows), target).sum().backward()
        optimizer.step()
    with torch.no_grad():
        losses = _losses(decode(rows), target)
    return rows.detach(), torch.nan_to_num(losses, nan=torch.inf)


def _losses(images: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error [S] of images that may leave [0, 1], which the engine clips.

    Values beyond a border of the range count as that border only if the target lies on it;
    otherwise clipping would remove the gradient back into the range.
    """
    low, high = torch.where(target <= 0, 0.0, -torch.inf), torch.where(target >= 1, 1.0, torch.inf)
    return (images.clamp(low, high) - target).square().flatten(1).mean(1)
