"""Tangents of the data manifold that a decoder has learned.

At a latent h the columns of the decoder's Jacobian ∂g/∂h span the plane that touches the
manifold of decoded images at g(h). Its singular value decomposition J = U·Σ·Vᵀ orders the
directions by how much the image changes: a step of 1 along the column v_i of V moves the image
by σ_i along u_i, in the limit of small steps. Goodfellow, Bengio & Courville, Deep Learning,
2016, section 14.6; Rifai et al., The Manifold Tangent Classifier, NIPS 2011 (who take the
Jacobian of the encoder).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zoo.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

Floats = NDArray[np.float64]

GREY = 128
"""What a picture of a direction shows where the image does not change."""

_HALF = 127


class Directions(NamedTuple):
    """The k largest singular values [k], their image directions [k, H, W, C] and latent
    directions [k, D]; both kinds are orthonormal."""

    values: Floats
    images: Floats
    latents: Floats


def jacobian(decoder: nn.Module, latent: ArrayLike) -> Floats:
    """∂g/∂h at a latent [D]: float64 [H, W, C, D], in intensities (0 to 1) by unit of h.

    `decoder` takes latents [N, D] to images [N, C, H, W], and stays as it is. Automatic
    differentiation, exact up to the rounding of float64: forward by latent dimension, or
    backward by pixel where those are fewer.
    """
    import copy

    import torch
    from torch.func import jacfwd, jacrev

    double = copy.deepcopy(decoder).eval().double().requires_grad_(False)

    def image(h: torch.Tensor) -> torch.Tensor:
        decoded: torch.Tensor = double(h[None])
        return decoded[0].permute(1, 2, 0)

    h = torch.tensor(np.asarray(latent, np.float64))
    with torch.no_grad():
        pixels = image(h).numel()
    differentiate = jacfwd if h.numel() <= pixels else jacrev
    derivatives: Floats = differentiate(image)(h).detach().numpy()
    return derivatives


def directions(derivatives: ArrayLike, k: int) -> Directions:
    """The k directions in which the image changes most, of a Jacobian [H, W, C, D].

    Signs are chosen so that the pixel that changes most becomes brighter. Raises ConfigError
    for a k below 1 or above D, and for derivatives that are not finite.
    """
    array = np.asarray(derivatives, np.float64)
    *shape, width = array.shape
    most = min(width, int(np.prod(shape)))
    if not 1 <= k <= most:
        raise ConfigError(f"k: expected 1 to {most} directions, got {k}")
    if not np.isfinite(array).all():
        raise ConfigError("the decoder's Jacobian is not finite")
    u, values, vt = np.linalg.svd(array.reshape(-1, width), full_matrices=False)
    columns = u.T[:k]
    peaks = columns[np.arange(k), np.abs(columns).argmax(1)]
    signs = np.where(peaks < 0, -1.0, 1.0)[:, None]
    return Directions(values[:k], (signs * columns).reshape(k, *shape), signs * vt[:k])


def picture(direction: ArrayLike) -> NDArray[np.uint8]:
    """An image direction [H, W, C] as uint8 [H, W, C]: grey where nothing changes.

    White is brighter and black is darker; in colour so by channel, so that a bluish place
    becomes bluer. Scaled to the largest change of its own, whatever that is.
    """
    change = np.asarray(direction, np.float64)
    most = np.abs(change).max()
    return np.rint(GREY + _HALF * (change / most if most else change)).astype(np.uint8)


__all__ = ["GREY", "Directions", "directions", "jacobian", "picture"]
