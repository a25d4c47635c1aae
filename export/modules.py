"""What the graphs of all roles are made of: PyTorch modules, ready for the ONNX exporter."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from export.functions import DOMAIN, VERSION
from zoo.models.generators import NoiseSource

ImageFormat = Literal["uint8", "float"]


def image_from_mean(mean: Tensor, image: ImageFormat, bounded: bool) -> Tensor:
    """The decoder's mean image as the engine returns it.

    Args:
        mean: float32 [N, C, H, W], 1 being white.
        image: "uint8" gives floor(mean * 255 + 1/2) as [N, H, W, C], "float"
            the mean itself as [N, C, H, W].
        bounded: the mean is in [0, 1] already and needs no clipping.
    """
    if image == "float":
        return mean if bounded else mean.clamp(0.0, 1.0)
    # TensorRT takes uint8 for an output only: transpose first, cast last.
    mean = mean.permute(0, 2, 3, 1)
    if not bounded:
        mean = mean.clamp(0.0, 1.0)
    return torch.floor(mean * 255.0 + 0.5).to(torch.uint8)


def unit(image: Tensor) -> Tensor:
    """Levels uint8 [N, H, W, C] as float32 [N, C, H, W] in [0, 1]."""
    return image.permute(0, 3, 1, 2).float() / 255.0


Example = tuple[tuple[Tensor, ...], tuple[dict[int, str], ...]]
"""Inputs to trace with, and their dynamic axes."""

ROWS = {0: "N"}


def reparametrized_sample(
    mu: Tensor, logvar: Tensor, seed: Tensor, first: Tensor, stream: int
) -> Tensor:
    """A node of that operator: h = mu + exp(logvar / 2) * eps, float32 [N, D]."""
    h: Tensor = torch.onnx.ops.symbolic(
        f"{DOMAIN}::ReparametrizedSample",
        (mu, logvar, seed, first),
        {"stream": stream},
        dtype=mu.dtype,
        shape=mu.shape,
        version=VERSION,
    )
    return h


def drawn(rows_of: Tensor, seed: Tensor, first: Tensor, scale: Tensor | None = None) -> NoiseSource:
    """Noise by the contract, a row for each of `rows_of`, times `scale` [1]."""

    def noise(stream: int, width: int) -> Tensor:
        zeros = torch.zeros(rows_of.shape[0], width)
        eps = reparametrized_sample(zeros, zeros, seed, first, stream)
        return eps if scale is None else eps * scale

    return noise


def words() -> tuple[Tensor, Tensor]:
    """A seed and a first sample."""
    return torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64)


class ImageGraph(nn.Module):
    """Base of the graphs whose one input is a batch of images, uint8 [N,H,W,C]."""

    inputs: tuple[str, ...] = ("image",)
    outputs: tuple[str, ...]

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = shape

    def example(self) -> Example:
        """Inputs to trace with, and their dynamic axes."""
        return (torch.zeros(2, *self.shape, dtype=torch.uint8),), ({0: "N"},)


def noise_widths(network: Any) -> tuple[int, ...]:
    """Numbers that each stream of a generator or translator draws, from the first layer's on."""
    return tuple(getattr(network, "noise_widths", ()))


Graph = nn.Module
"""Graph of a role (`export.roles`) with inputs, outputs and example()."""
