"""Parts of the graphs of all roles: PyTorch modules and functions for the ONNX exporter."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from export.functions import DOMAIN, VERSION
from zoo.models.generators import NoiseSource

ImageFormat = Literal["uint8", "float"]


def image_from_mean(mean: Tensor, image: ImageFormat, bounded: bool) -> Tensor:
    """Convert a decoder's mean image to the format of the engine.

    Args:
        mean: float32 [N, C, H, W], 1 being white.
        image: "uint8" for floor(mean * 255 + 1/2) as [N, H, W, C], "float" for the mean itself.
        bounded: True if the mean is in [0, 1] and needs no clipping.
    """
    if image == "float":
        return mean if bounded else mean.clamp(0.0, 1.0)
    # TensorRT supports uint8 only as the type of an output: transpose first, cast last.
    mean = mean.permute(0, 2, 3, 1)
    if not bounded:
        mean = mean.clamp(0.0, 1.0)
    return torch.floor(mean * 255.0 + 0.5).to(torch.uint8)


def to_unit_range(image: Tensor) -> Tensor:
    """Convert levels uint8 [N, H, W, C] to float32 [N, C, H, W] in [0, 1]."""
    return image.permute(0, 3, 1, 2).float() / 255.0


Example = tuple[tuple[Tensor, ...], tuple[dict[int, str], ...]]
"""Inputs to trace with, and their dynamic axes."""

ROWS = {0: "N"}


def reparametrized_sample(
    mu: Tensor, logvar: Tensor, seed: Tensor, first: Tensor, stream: int
) -> Tensor:
    """Add a node of the operator: h = mu + exp(logvar / 2) * eps, float32 [N, D]."""
    return torch.onnx.ops.symbolic(
        f"{DOMAIN}::ReparametrizedSample",
        (mu, logvar, seed, first),
        {"stream": stream},
        dtype=mu.dtype,
        shape=mu.shape,
        version=VERSION,
    )


def noise_source(
    rows_of: Tensor, seed: Tensor, first: Tensor, scale: Tensor | None = None
) -> NoiseSource:
    """Return a source of contract noise times `scale` [1], with as many rows as `rows_of`."""

    def noise(stream: int, width: int) -> Tensor:
        zeros = torch.zeros(rows_of.shape[0], width)
        eps = reparametrized_sample(zeros, zeros, seed, first, stream)
        return eps if scale is None else eps * scale

    return noise


def example_key() -> tuple[Tensor, Tensor]:
    """Return a seed and a first sample to trace with."""
    return torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64)


class ImageGraph(nn.Module):
    """Base of graphs whose one input is a batch of images, uint8 [N,H,W,C]."""

    inputs: tuple[str, ...] = ("image",)
    outputs: tuple[str, ...]

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = shape

    def example(self) -> Example:
        return (torch.zeros(2, *self.shape, dtype=torch.uint8),), (ROWS,)


def noise_widths(network: Any) -> tuple[int, ...]:
    """Return the numbers that each noise stream draws per image, from the first layer on."""
    return tuple(getattr(network, "noise_widths", ()))


Graph = nn.Module
"""Graph of a role (`export.roles`): a module with `inputs`, `outputs` and `example()`."""
