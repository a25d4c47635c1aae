"""Layers with an equalised learning rate (Karras et al. 2017, arXiv:1710.10196, section 4.1).

Weights are initialised to N(0, 1) and multiplied by gain / √fan_in (He et al. 2015) at run time.
Adam's steps do not depend on the scale of a gradient, so all layers then change at the same speed.
`fold()` returns the plain layer with the scaled weights (see `zoo.models.folding`).
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROOT_2 = math.sqrt(2)
"""Gain before a rectifier."""


class EqualisedLinear(nn.Module):
    """Dense layer from vectors [N, inputs] to [N, outputs].

    `rate` multiplies the layer's learning rate ("λ" of Karras et al. 2019, appendix C, for the
    mapping network) without changing its initial output.
    """

    def __init__(
        self, inputs: int, outputs: int, gain: float = ROOT_2, rate: float = 1.0, bias: float = 0.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = gain / math.sqrt(inputs) * rate, rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)

    def fold(self) -> nn.Linear:
        plain = nn.Linear(self.weight.shape[1], self.weight.shape[0], dtype=self.weight.dtype)
        return _fill(plain, self.weight * self.scale, self.bias * self.rate)


class EqualisedConv2d(nn.Module):
    """Convolution of maps [N, inputs, H, W] that preserves their size; `size` is odd."""

    def __init__(self, inputs: int, outputs: int, size: int, gain: float = ROOT_2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs * size**2)

    def kernel(self) -> Tensor:
        """Return the scaled kernel in the layout of the layer's convolution."""
        return self.weight * self.scale

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel(), self.bias, padding=self.weight.shape[-1] // 2)

    def fold(self) -> nn.Module:
        kernel = self.kernel()
        outputs, inputs, size = kernel.shape[:3]
        plain = nn.Conv2d(inputs, outputs, size, padding=size // 2, dtype=kernel.dtype)
        return _fill(plain, kernel, self.bias)


class UpsampledConv2d(EqualisedConv2d):
    """Nearest-neighbour upsampling by 2 and a 3×3 convolution, to [N, outputs, 2H, 2W].

    Both are computed as one transposed convolution with a 4×4 kernel, the sum of the 3×3 kernel at
    its four offsets within an upsampled pixel: the same result for 4/9 of the multiplications. With
    `blur` the result is smoothed (before the bias) by the binomial filter of Karras et al. 2019,
    appendix C. The blur stays a separate layer: merged into a 6×6 kernel it was 1.4 to 3 times
    slower.
    """

    filter: Tensor

    def __init__(self, inputs: int, outputs: int, blur: bool = False) -> None:
        super().__init__(inputs, outputs, 3)
        self.blur = blur
        if blur:
            self.register_buffer("filter", binomial_filter(outputs), persistent=False)

    def kernel(self) -> Tensor:
        """Return the kernel [inputs, outputs, 4, 4] of the transposed convolution."""
        return _sum_corners(super().kernel().flip(2, 3)).transpose(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.blur else self.bias
        x = F.conv_transpose2d(x, self.kernel(), bias, stride=2, padding=1)
        if not self.blur:
            return x
        return F.conv2d(x, self.filter, self.bias, padding=1, groups=len(self.bias))

    def fold(self) -> nn.Module:
        """Return the plain transposed convolution, and the blur as a depthwise convolution."""
        kernel = self.kernel()
        inputs, outputs = kernel.shape[:2]
        kind: Any = {"dtype": kernel.dtype}
        plain = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=not self.blur, **kind)
        if not self.blur:
            return _fill(plain, kernel, self.bias)
        smooth = nn.Conv2d(outputs, outputs, 3, padding=1, groups=outputs, **kind)
        return nn.Sequential(
            _fill(plain, kernel, None), _fill(smooth, self.filter.to(kernel.dtype), self.bias)
        )


class DownsampledConv2d(EqualisedConv2d):
    """3×3 convolution and 2×2 average pooling, to [N, outputs, H/2, W/2].

    Both are computed as one convolution of stride 2 with a 4×4 kernel. `blur` smooths the input.
    """

    filter: Tensor

    def __init__(self, inputs: int, outputs: int, blur: bool = False) -> None:
        super().__init__(inputs, outputs, 3)
        self.blur = blur
        if blur:
            self.register_buffer("filter", binomial_filter(inputs), persistent=False)

    def kernel(self) -> Tensor:
        """Return the kernel [outputs, inputs, 4, 4] of the strided convolution."""
        return _sum_corners(super().kernel()) / 4

    def forward(self, x: Tensor) -> Tensor:
        if self.blur:
            x = F.conv2d(x, self.filter, padding=1, groups=x.shape[1])
        return F.conv2d(x, self.kernel(), self.bias, stride=2, padding=1)

    def fold(self) -> nn.Module:
        """Return the plain strided convolution, preceded by the blur if there is one."""
        kernel = self.kernel()
        outputs, inputs = kernel.shape[:2]
        kind: Any = {"dtype": kernel.dtype}
        plain = _fill(nn.Conv2d(inputs, outputs, 4, 2, 1, **kind), kernel, self.bias)
        if not self.blur:
            return plain
        smooth = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False, **kind)
        return nn.Sequential(_fill(smooth, self.filter.to(kernel.dtype), None), plain)


def binomial_filter(channels: int) -> Tensor:
    """Return the depthwise filter [1, 2, 1] ⊗ [1, 2, 1] / 16, [channels, 1, 3, 3]."""
    line = torch.tensor([1.0, 2.0, 1.0]) / 4
    return (line[:, None] * line).expand(channels, 1, 3, 3).contiguous()


def _sum_corners(kernel: Tensor) -> Tensor:
    """Return the sum of a 3×3 kernel [O, I, 3, 3] placed at the four corners of a 4×4 one."""
    corners = ((0, 1, 0, 1), (1, 0, 0, 1), (0, 1, 1, 0), (1, 0, 1, 0))
    total = F.pad(kernel, corners[0])
    for corner in corners[1:]:
        total = total + F.pad(kernel, corner)
    return total


def _fill(layer: Any, weight: Tensor, bias: Tensor | None) -> Any:
    """Copy weights and bias into a plain layer."""
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)
    return layer
