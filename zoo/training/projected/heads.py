"""The trained heads, which judge feature maps, patches and colours.

They have equalised learning rates and no normalisation: with the spectral and batch normalisation
of Sauer et al. 2021, small generators collapsed. Each head returns several logits per image, [N,
L], for different positions.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.models.equalised import ROOT_2, EqualisedLinear
from zoo.models.style_layers import MinibatchDeviation

GROUP = 8
"""Group size of the minibatch standard deviation."""

SMALLEST = 4
"""Side of the last feature map."""


class Convolution(nn.Module):
    """Convolution with an equalised learning rate, of any size, stride and padding."""

    def __init__(
        self, inputs: int, outputs: int, size: int, stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = ROOT_2 / math.sqrt(inputs * size**2)
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        weight = (self.weight * self.scale).contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


class Logits(nn.Module):
    """Last layer: maps [N, C, H, W] to logits [N, L].

    A `condition` [N, K] adds the product of the maps with its embedding, the "projection" of Miyato
    & Koyama 2018 (arXiv:1802.05637), equation 4.
    """

    def __init__(self, width: int, size: int, condition: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, width, size, size))
        self.scale = 1 / math.sqrt(width * size**2)
        self.embedding: nn.Module | None = None
        if condition:
            self.embedding = nn.Sequential(
                EqualisedLinear(condition, width),
                nn.LeakyReLU(0.2),
                EqualisedLinear(width, width, gain=1.0),
            )

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        logits = F.conv2d(x, self.weight * self.scale)
        if self.embedding is not None:
            embedded = self.embedding(condition)[:, :, None, None]
            product = (x * embedded).sum(1, keepdim=True) / math.sqrt(x.shape[1])
            logits = logits + F.avg_pool2d(product, self.weight.shape[-1], 1)
        return logits.flatten(1)


class Head(nn.Module):
    """Maps [N, inputs, side, side] to the logits of its four corners."""

    def __init__(self, inputs: int, side: int, width: int, condition: int = 0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if side <= SMALLEST:
            layers += [Convolution(inputs, width, 3, padding=1), nn.LeakyReLU(0.2)]
            inputs = width
        while side > SMALLEST:
            layers += [Convolution(inputs, width, 4, 2, 1), nn.LeakyReLU(0.2)]
            inputs, side = width, side // 2
        layers += [
            MinibatchDeviation(GROUP),
            Convolution(width + 1, width, 3, padding=1),
            nn.LeakyReLU(0.2),
        ]
        self.layers = nn.Sequential(*layers)
        self.logits = Logits(width, min(3, side), condition)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        logits: Tensor = self.logits(self.layers(x), condition)
        return logits


class PatchHead(nn.Module):
    """Pixels [N, inputs, S, S] in [0, 1] to logits of overlapping patches of 38×38."""

    def __init__(self, inputs: int, width: int = 16, condition: int = 0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Convolution(inputs, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            Convolution(width, 2 * width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            Convolution(2 * width, 2 * width, 4, 2, 1),
            nn.LeakyReLU(0.2),
        )
        self.logits = Logits(2 * width, 3, condition)

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Tensor:
        x = (2 * images - 1).contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.logits(self.layers(x), condition)
        return logits


class ColourHead(nn.Module):
    """Pixels [N, inputs, S, S] in [0, 1], averaged to 16×16, to one logit per image.

    Networks trained to name objects are nearly blind to which colours go together.
    """

    SIDE = 16

    def __init__(self, inputs: int, width: int = 64, condition: int = 0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Convolution(inputs, width, 3, padding=1),
            nn.LeakyReLU(0.2),
            Convolution(width, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            Convolution(width, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            MinibatchDeviation(GROUP),
            Convolution(width + 1, width, SMALLEST),
            nn.LeakyReLU(0.2),
        )
        self.logits = Logits(width, 1, condition)

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Tensor:
        x = 2 * F.avg_pool2d(images, images.shape[-1] // self.SIDE) - 1
        x = x.contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.logits(self.layers(x), condition)
        return logits
