"""Layers of progressively grown and style-based generators.

Karras et al. 2017 (arXiv:1710.10196) and 2019 (arXiv:1812.04948).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from zoo.models.equalised import EqualisedLinear

EPSILON = 1e-6
"""Keeps square roots away from 0. The papers' 1e-8 underflows in fp16 and in PyTorch's exporter."""


def full_precision(x: Tensor) -> Tensor:
    """Convert half precision to float32; leave other types unchanged."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class PixelNorm(nn.Module):
    """x / √(mean of x² over the channels + ε) at every pixel (Karras et al. 2017, equation 1).

    Takes [N, C] or [N, C, H, W].
    """

    def forward(self, x: Tensor) -> Tensor:
        normalised: Tensor = _PixelNorm.apply(x)
        return normalised

    def fold(self) -> nn.Module:
        return PlainPixelNorm()


class PlainPixelNorm(nn.Module):
    """`PixelNorm` in operations that can be exported.

    The mean over the channels of a map is a convolution, because ONNX Runtime sums a mean of one
    image in a different order than one of several, and images would depend on the batch.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 2:
            return x / torch.sqrt(x.square().mean(1, keepdim=True) + EPSILON)
        channels = x.shape[1]
        weight = x.new_full((1, channels, 1, 1), 1 / channels)
        return x / torch.sqrt(F.conv2d(x * x, weight, x.new_full((1,), EPSILON)))


class _PixelNorm(torch.autograd.Function):
    """PixelNorm with an explicit gradient: autograd's took twice as long as a convolution."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        scale = torch.rsqrt(_channel_mean(x * x) + EPSILON)
        normalised = x * scale
        ctx.save_for_backward(normalised, scale)
        return normalised

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        normalised, scale = ctx.saved_tensors
        return (gradient - normalised * _channel_mean(gradient * normalised)) * scale


def _channel_mean(x: Tensor) -> Tensor:
    """Return the mean over the channels, with one channel or broadcast to all of them."""
    channels = x.shape[1]
    if x.ndim != 4 or channels >= 32:
        return x.mean(1, keepdim=True)
    # PyTorch's sum over few interleaved channels is slower than a matrix product.
    return F.conv2d(x, x.new_full((channels, channels, 1, 1), 1 / channels))


class MinibatchDeviation(nn.Module):
    """Append a channel with the minibatch standard deviation (Karras et al. 2017, section 3).

    The deviation is taken over groups of `group` images (the largest divisor of the batch size up
    to that), for every value of the map, and averaged to one number per group. [N, C, H, W] to [N,
    C + 1, H, W]. Image i is grouped with i + N / group, i + 2 N / group, …
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        count = len(x)
        size = max(n for n in range(1, self.group + 1) if count % n == 0)
        groups = full_precision(x).unflatten(0, (size, count // size))
        variance = (groups - groups.mean(0)).square().mean(0)  # faster than var()
        deviation = (variance + EPSILON).sqrt().flatten(1).mean(1)
        channel = deviation.to(x.dtype).repeat(size)[:, None, None, None]
        return torch.cat([x, channel.expand(-1, 1, *x.shape[2:])], 1)


class AdaptiveNorm(nn.Module):
    """Adaptive instance normalisation (Karras et al. 2019, equation 1).

    Sets mean and deviation of each channel of each image [N, C, H, W] to an affine function of its
    style w [N, W], initially deviation 1 and mean 0.
    """

    def __init__(self, style: int, channels: int) -> None:
        super().__init__()
        self.affine: nn.Module = EqualisedLinear(style, 2 * channels, gain=1.0)
        with torch.no_grad():
            self.affine.get_parameter("bias")[:channels] = 1

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Normalise x and apply the style.

        Computed as one batch normalisation of N·C channels, a single kernel that normalises, scales
        and shifts.
        """
        count, channels = len(style), x.shape[1]
        x = x.expand(count, -1, -1, -1).contiguous()
        deviation, mean = full_precision(self.affine(style)).chunk(2, 1)
        flat = x.view(1, count * channels, *x.shape[2:])
        styled = F.batch_norm(
            flat, None, None, deviation.reshape(-1), mean.reshape(-1), training=True, eps=EPSILON
        )
        return styled.view(x.shape)

    def fold(self) -> nn.Module:
        return PlainAdaptiveNorm(self.affine)


class PlainAdaptiveNorm(nn.Module):
    """`AdaptiveNorm` in operations that can be exported."""

    def __init__(self, affine: nn.Module) -> None:
        super().__init__()
        self.affine = affine

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        deviation, mean = self.affine(style).to(x.dtype)[:, :, None, None].chunk(2, 1)
        return F.instance_norm(x, eps=EPSILON) * deviation + mean


class StyleLayer(nn.Module):
    """Convolution (or none), noise, leaky ReLU, style: a box of figure 1b (Karras et al. 2019).

    The noise, one number per pixel, is added to each channel with a learned strength, initially 0.
    """

    def __init__(self, convolution: nn.Module, channels: int, style: int) -> None:
        super().__init__()
        self.convolution = convolution
        self.strength = nn.Parameter(torch.zeros(channels, 1, 1))
        self.norm = AdaptiveNorm(style, channels)

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        """Apply the layer to maps [N or 1, C, H, W], style [N, W] and noise [N, H'·W']."""
        # The following operations are fastest with the pixels of a channel side by side.
        x = self.convolution(x).contiguous()
        noise = noise.to(x.dtype).unflatten(1, (1, *x.shape[2:]))
        x = F.leaky_relu(torch.addcmul(x, noise, self.strength.to(x.dtype)), 0.2)
        styled: Tensor = self.norm(x, style)
        return styled
