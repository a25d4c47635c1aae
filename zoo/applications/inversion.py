"""Which latent made this image: the inversion of a generator by descent from several starts.

Minimises ‖G(h) - x‖² over h by Adam (Lipton & Tripathi 2017, arXiv:1702.04782; Abdal et al. 2019,
arXiv:1904.03189 for the w of style-based generators). The surface has many local minima, so each
image gets many starts, of which the better part goes on, until one is left (successive halving).
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
"""How often the worse starts are dropped: after each but the last a quarter of them goes on."""

RATE = 0.2
"""Adam's step, in parts of the standard deviation of a latent's values."""


@dataclass(frozen=True)
class Inverted:
    """Latents float32 [n, D] of n images, and the mean squared error [n] of what they decode to.

    Errors are in (levels / 255)², of the float image.
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

    `decode` takes latents [m, D] to images [m, C, H, W]. `starts` [n, S, D] are where the search
    begins, S for each image; `scale` is the standard deviation of a latent's values, which sets the
    step. `steps` counts those of the winner. `seen` is called after each image. Raises ConfigError
    for values that cannot work, and for a search that leaves the finite numbers.
    """
    if starts.ndim != 3 or len(starts) != len(images) or 0 in starts.shape:
        raise ConfigError(f"starts: expected shape ({len(images)}, S, D), got {starts.shape}")
    if steps < ROUNDS:
        raise ConfigError(f"steps: expected at least {ROUNDS}, got {steps}")
    found, errors = [], []
    for image, own in zip(images, starts, strict=True):
        target = torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255
        latent, error = _search(decode, target, torch.from_numpy(own.copy()), steps, scale)
        if not np.isfinite(error):
            raise ConfigError("the search left the finite numbers: use a smaller step or scale")
        found.append(latent)
        errors.append(error)
        seen(1)
    return Inverted(np.stack(found), np.array(errors))


def _search(
    decode: Decode, target: Tensor, latents: Tensor, steps: int, scale: float
) -> tuple[NDArray[np.float32], float]:
    """The best latent [D] from starts [S, D], and its error."""
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
    """`length` steps of Adam from each row, each row by itself; the rows and their losses [S]."""
    rows = latents.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([rows], RATE * scale, betas=(0.9, 0.99))
    for step in range(length):
        for group in optimizer.param_groups:
            group["lr"] = RATE * scale * (1 + np.cos(np.pi * (done + step) / steps)) / 2
        optimizer.zero_grad()
        # The sum over rows: the gradient of a row does not depend on the others.
        _losses(decode(rows), target).sum().backward()
        optimizer.step()
    with torch.no_grad():
        losses = _losses(decode(rows), target)
    return rows.detach(), torch.nan_to_num(losses, nan=torch.inf)


def _losses(images: Tensor, target: Tensor) -> Tensor:
    """Mean squared error [S] of images that may leave [0, 1], which the engine clips.

    What is beyond the range counts as its border where the target is there; elsewhere it counts
    whole, or it had no gradient back.
    """
    low, high = torch.where(target <= 0, 0.0, -torch.inf), torch.where(target >= 1, 1.0, torch.inf)
    return (images.clamp(low, high) - target).square().flatten(1).mean(1)


__all__ = ["ROUNDS", "Inverted", "invert"]
