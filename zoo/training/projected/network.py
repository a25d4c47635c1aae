"""The frozen network, and random projections of its feature maps."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.evaluation import efficientnet

TAPS = (0, 2, 4, 10)
"""Blocks of EfficientNet-Lite0 whose outputs are used, at 1/2, 1/4, 1/8 and 1/16 of the side."""

CHANNELS = (16, 24, 40, 112)
"""Channels of these outputs."""


class FrozenNetwork(nn.Module):
    """Images [N, C, side, side] in [0, 1] to the maps after `TAPS`, in the type `dtype`.

    The weights never change, so checkpoints do not hold them and copies of a model share them.
    Raises `ConfigError` if the packages of the extra `evaluate` are missing.
    """

    def __init__(self, side: int, dtype: torch.dtype) -> None:
        super().__init__()
        network: Any = efficientnet.load_network(side)
        self.dtype = dtype
        self.stages = nn.ModuleList()
        start = 0
        for tap in TAPS:
            stem = [network._conv_stem, network._swish] if start == 0 else []
            self.stages.append(nn.Sequential(*stem, *network._blocks[start : tap + 1]))
            start = tap + 1
        for module in self.stages.modules():
            for name, parameter in list(module.named_parameters(recurse=False)):
                delattr(module, name)
                value = parameter.detach().to(dtype)
                module.register_buffer(name, value, persistent=False)
        self.eval()

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenNetwork:
        return self

    def train(self, mode: bool = True) -> FrozenNetwork:
        """Stay in evaluation mode."""
        return super().train(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        with torch.autocast(images.device.type, enabled=False):
            # To the values that the network was trained with, (levels - 127) / 128.
            x = (images.expand(-1, 3, -1, -1) * (255 / 128) - 127 / 128).to(self.dtype)
            x = x.contiguous(memory_format=torch.channels_last)
            maps = []
            for stage in self.stages:
                x = stage(x)
                maps.append(x)
        return maps


class RandomMixing(nn.Module):
    """Fixed random projections of feature maps (Sauer et al. 2021, section 3.2).

    A 1×1 convolution gives each map `widths[i]` channels ("cross-channel mixing"); then, from the
    coarsest map on, another one maps it to the channels of the next finer map, to which it is
    upsampled and added ("cross-scale mixing"). The projections keep the discriminator from relying
    on few features.
    """

    def __init__(self, channels: tuple[int, ...], widths: tuple[int, ...]) -> None:
        super().__init__()
        self.count = len(channels)
        for index, (before, after) in enumerate(zip(channels, widths, strict=True)):
            weight = torch.randn(after, before, 1, 1) / math.sqrt(before)
            self.register_buffer(f"channels{index}", weight)
            self.register_buffer(f"bias{index}", torch.zeros(after))
        for index, (fine, coarse) in enumerate(zip(widths, widths[1:], strict=False)):
            weight = torch.randn(fine, coarse, 1, 1) / math.sqrt(coarse)
            self.register_buffer(f"scales{index}", weight)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Return the projected maps, fine to coarse."""
        projected = [self._project(index, x) for index, x in enumerate(maps)]
        for index in range(self.count - 2, -1, -1):
            coarse = projected[index + 1]
            coarse = F.conv2d(coarse, self.get_buffer(f"scales{index}").to(coarse.dtype))
            coarse = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
            projected[index] = (projected[index] + coarse) * math.sqrt(0.5)
        return projected

    @torch.no_grad()
    def calibrate(self, maps: list[Tensor]) -> None:
        """Normalise the first projections so that these maps have mean 0 and deviation 1."""
        for index, x in enumerate(maps):
            projected = self._project(index, x).float()
            deviation = projected.std()
            weight, bias = self.get_buffer(f"channels{index}"), self.get_buffer(f"bias{index}")
            bias.sub_(projected.mean()).div_(deviation)
            weight.div_(deviation)

    def _project(self, index: int, x: Tensor) -> Tensor:
        weight, bias = self.get_buffer(f"channels{index}"), self.get_buffer(f"bias{index}")
        return F.conv2d(x, weight.to(x.dtype), bias.to(x.dtype))
