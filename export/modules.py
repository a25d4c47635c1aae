"""The graphs of the engine files as PyTorch modules, ready for the ONNX exporter."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from export.functions import DOMAIN, VERSION, Mode

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


class GeneratorGraph(nn.Module):
    """(mu [N,D], logvar [N,D], seed [1], first [1]) -> image."""

    inputs = ("mu", "logvar", "seed", "first")
    outputs = ("image",)

    def __init__(self, decoder: nn.Module, width: int, image: ImageFormat, bounded: bool) -> None:
        super().__init__()
        self.decoder, self.width, self.image, self.bounded = decoder, width, image, bounded

    def forward(self, mu: Tensor, logvar: Tensor, seed: Tensor, first: Tensor) -> Tensor:
        """One image per row; row r is sample `first + r` of `seed`."""
        h = torch.onnx.ops.symbolic(
            f"{DOMAIN}::ReparametrizedSample",
            (mu, logvar, seed, first),
            {"stream": 0},
            dtype=mu.dtype,
            shape=mu.shape,
            version=VERSION,
        )
        return image_from_mean(self.decoder(h), self.image, self.bounded)

    def example(self) -> tuple[tuple[Tensor, ...], tuple[dict[int, str], ...]]:
        """Inputs to trace with, and their dynamic axes."""
        rows = torch.zeros(2, self.width)
        word = torch.zeros(1, dtype=torch.int64)
        return (rows, rows.clone(), word, word.clone()), ({0: "N"}, {0: "N"}, {}, {})


class EncoderGraph(nn.Module):
    """image uint8 [N,H,W,C] -> (mu [N,D], logvar [N,D])."""

    inputs = ("image",)
    outputs = ("mu", "logvar")

    def __init__(self, encoder: nn.Module, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.encoder, self.shape = encoder, shape

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior of each image, its levels divided by 255."""
        mu, logvar = self.encoder(image.permute(0, 3, 1, 2).float() / 255.0)
        return mu, logvar

    def example(self) -> tuple[tuple[Tensor, ...], tuple[dict[int, str], ...]]:
        """Inputs to trace with, and their dynamic axes."""
        return (torch.zeros(2, *self.shape, dtype=torch.uint8),), ({0: "N"},)


class InterpolatorGraph(nn.Module):
    """(a [N,D], b [N,D], t [S]) -> image, with a second batch axis S for the steps."""

    inputs = ("a", "b", "t")
    outputs = ("image",)

    def __init__(
        self, decoder: nn.Module, width: int, image: ImageFormat, bounded: bool, mode: Mode
    ) -> None:
        super().__init__()
        self.decoder, self.width, self.mode = decoder, width, mode
        self.image, self.bounded = image, bounded

    def forward(self, a: Tensor, b: Tensor, t: Tensor) -> Tensor:
        """Images of the points a (t = 0) to b (t = 1): [N, S, H, W, C] if uint8."""
        h = torch.onnx.ops.symbolic(
            f"{DOMAIN}::BatchedInterpolate",
            (a, b, t),
            {"mode": self.mode},
            dtype=a.dtype,
            shape=(a.shape[0], t.shape[0], a.shape[1]),
            version=VERSION,
        )
        images = image_from_mean(self.decoder(h.flatten(0, 1)), self.image, self.bounded)
        return images.reshape(a.shape[0], t.shape[0], *images.shape[1:])

    def example(self) -> tuple[tuple[Tensor, ...], tuple[dict[int, str], ...]]:
        """Inputs to trace with, and their dynamic axes."""
        rows = torch.zeros(2, self.width)
        return (rows, rows.clone(), torch.linspace(0, 1, 3)), ({0: "N"}, {0: "N"}, {0: "S"})


Graph = GeneratorGraph | EncoderGraph | InterpolatorGraph
