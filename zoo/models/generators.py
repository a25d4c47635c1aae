"""What the networks of adversarial models have in common, and what training and export ask of them.

A model of two networks is a module with a dataclass `config`, a `generator` and a `discriminator`.
Images are float [N, C, S, S] in [0, 1] on the outside of every network; a network that works on
[-1, 1] converts on the inside. Training parts of a generator that export can do without (batch
normalisation, equalised learning rates, blur kernels) are folded by `zoo.models.folding`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NoiseSource = Callable[[int, int], Tensor]
"""`noise(stream, width)`: numbers of N(0, 1), [N, width], one row for each image of the batch.

A network asks for each of its streams once a pass. In training they come from PyTorch's generator,
in an engine file from that stream of the noise contract, so that they are a function of seed and
image. The streams are counted from `FIRST_LAYER_STREAM`; 0 is the latent.
"""

FIRST_LAYER_STREAM = 1
"""Stream of the first layer that draws noise of its own; the others follow in order."""


class Generator(Protocol):
    """Latents [N, D] to images [N, C, S, S].

    `bounded` says that the images are in [0, 1] by themselves; otherwise they may leave it a bit,
    and whoever shows them clips.
    """

    bounded: bool

    def __call__(self, latents: Tensor) -> Tensor:
        """Return the images."""
        ...


class ConditionalGenerator(Protocol):
    """Latents [N, D] and class numbers int64 [N] to images; `classes` is the number of classes."""

    bounded: bool
    classes: int

    def __call__(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Return the images."""
        ...


class StyleGenerator(Protocol):
    """A generator in two parts, after Karras et al. 2019 (arXiv:1812.04948).

    `mapping` takes latents [N, D] to w [N, W]; `synthesis` takes one w for each of its `layers`,
    [N, layers, W], and a noise source, to images. Layer l draws `noise_widths[l]` numbers from the
    stream `FIRST_LAYER_STREAM + l`. `style_mean` [W] is the mean of w over the prior, around which
    truncation contracts. A call does it all: latents [N, D], ψ, and noise, PyTorch's if none is
    given.
    """

    bounded: bool
    layers: int
    noise_widths: tuple[int, ...]
    style_mean: Tensor
    mapping: Callable[[Tensor], Tensor]
    synthesis: Callable[[Tensor, NoiseSource], Tensor]

    def __call__(
        self, latents: Tensor, truncation: float | Tensor = 1.0, noise: NoiseSource | None = None
    ) -> Tensor:
        """Return the images."""
        ...


def levels(images: Tensor) -> NDArray[np.uint8]:
    """Images [N, C, S, S] as an engine file gives them, uint8 [N, S, S, C]: clipped and rounded."""
    rounded = (images.float().clamp(0, 1) * 255 + 0.5).floor().to(torch.uint8)
    return np.ascontiguousarray(rounded.permute(0, 2, 3, 1).cpu().numpy())


def torch_noise(like: Tensor, generator: torch.Generator | None = None) -> NoiseSource:
    """Noise for the rows of `like`, on its device, from PyTorch, or a generator on the CPU."""

    def noise(stream: int, width: int) -> Tensor:
        if generator is None:
            return torch.randn(len(like), width, device=like.device)
        return torch.randn(len(like), width, generator=generator).to(like.device)

    return noise


def no_noise(like: Tensor) -> NoiseSource:
    """Zeros in place of noise: the image of a latent alone."""
    return lambda stream, width: like.new_zeros(len(like), width)


def is_style_based(network: object) -> bool:
    """Whether a network is a `StyleGenerator`."""
    return hasattr(network, "synthesis")
