"""Interfaces of the networks of adversarial models, for training and export.

A model is a module with a dataclass `config`, a `generator` and a `discriminator`. Every network
takes and returns images as float [N, C, S, S] in [0, 1]; one that works on [-1, 1] converts
internally. Parts of a generator that only training needs (batch normalisation, equalised learning
rates, blur kernels) are folded for export by `zoo.models.folding`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NoiseSource = Callable[[int, int], Tensor]
"""`noise(stream, width)`: samples of N(0, 1), [N, width], one row for each image of the batch.

A network draws each of its streams once per pass. In training the samples come from PyTorch's
generator; in an engine file from that stream of the noise contract, as a function of seed and
image. Streams are numbered from `FIRST_LAYER_STREAM`; 0 is the latent.
"""

FIRST_LAYER_STREAM = 1
"""Stream of the first layer with noise; the others follow in order."""


class Generator(Protocol):
    """Latents [N, D] to images [N, C, S, S].

    `bounded` says that the images are always in [0, 1]; otherwise they may slightly exceed that
    range and the caller clips them.
    """

    bounded: bool

    def __call__(self, latents: Tensor) -> Tensor: ...


class ConditionalGenerator(Protocol):
    """Latents [N, D] and class numbers int64 [N] to images; `classes` is the number of classes."""

    bounded: bool
    classes: int

    def __call__(self, latents: Tensor, labels: Tensor) -> Tensor: ...


class StyleGenerator(Protocol):
    """A generator in two parts (Karras et al. 2019, arXiv:1812.04948).

    `mapping` takes latents [N, D] to w [N, W]; `synthesis` takes one w for each of its `layers`,
    [N, layers, W], and a noise source, to images. Its layers share the stream `FIRST_LAYER_STREAM`
    of `noise_widths[0]` numbers, first layer first. `style_mean` [W] is the mean of w over the
    prior, the centre of truncation. Calling it runs both parts on latents [N, D] with truncation ψ
    and noise (default: PyTorch's).
    """

    bounded: bool
    layers: int
    noise_widths: tuple[int, ...]
    style_mean: Tensor
    mapping: Callable[[Tensor], Tensor]
    synthesis: Callable[[Tensor, NoiseSource], Tensor]

    def __call__(
        self, latents: Tensor, truncation: float | Tensor = 1.0, noise: NoiseSource | None = None
    ) -> Tensor: ...


def to_uint8(images: Tensor) -> NDArray[np.uint8]:
    """Convert images [N, C, S, S] to engine output, uint8 [N, S, S, C], clipped and rounded."""
    rounded = (images.float().clamp(0, 1) * 255 + 0.5).floor().to(torch.uint8)
    return np.ascontiguousarray(rounded.permute(0, 2, 3, 1).cpu().numpy())


def torch_noise(like: Tensor, generator: torch.Generator | None = None) -> NoiseSource:
    """Return a noise source for the rows of `like`, on its device; a `generator` is on the CPU."""

    def noise(stream: int, width: int) -> Tensor:
        if generator is None:
            return torch.randn(len(like), width, device=like.device)
        return torch.randn(len(like), width, generator=generator).to(like.device)

    return noise


def no_noise(like: Tensor) -> NoiseSource:
    """Return a source of zeros, for the image of a latent alone."""
    return lambda stream, width: like.new_zeros(len(like), width)


def is_style_based(network: object) -> bool:
    """Return True if a network is a `StyleGenerator`."""
    return hasattr(network, "synthesis")
