"""Layers of grown generators against NumPy and SciPy in double precision."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.signal import convolve2d
from torch import nn

from growing import rows
from zoo.models.equalised import (
    DownsampledConv2d,
    EqualisedConv2d,
    EqualisedLinear,
    UpsampledConv2d,
)
from zoo.models.folding import fold
from zoo.models.progan import ToRGB
from zoo.models.style_layers import EPSILON, MinibatchDeviation, PixelNorm, PlainPixelNorm


@pytest.mark.parametrize("rate", [1.0, 0.01])
def test_equalised_linear(rate: float) -> None:
    layer = EqualisedLinear(7, 5, rate=rate, bias=0.5).double()
    x = rows(4, 7)
    weight = layer.weight.detach().numpy() * rate * np.sqrt(2 / 7)
    expected = x.numpy() @ weight.T + 0.5
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(layer.fold()(x).detach().numpy(), expected, rtol=1e-12)


def test_equalised_variance() -> None:
    """Rectified values keep their mean square across layers (He et al. 2015)."""
    torch.manual_seed(0)
    x = torch.randn(16, 64, 12, 12)
    for _ in range(6):
        x = F.relu(EqualisedConv2d(64, 64, 3)(x))[..., 1:-1, 1:-1].detach()
        x = F.pad(x, (1, 1, 1, 1), mode="circular")
    assert 0.5 < float(x.square().mean()) < 2


@pytest.mark.parametrize("size", [1, 3])
def test_equalised_convolution_is_a_plain_one_of_scaled_weights(size: int) -> None:
    layer = EqualisedConv2d(3, 4, size).double()
    nn.init.normal_(layer.bias)
    x = rows(2, 3, 6, 6)
    scaled = layer.weight * (2 / (3 * size**2)) ** 0.5
    expected = F.conv2d(x, scaled, layer.bias, padding=size // 2)
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(layer.fold()(x), expected, rtol=1e-12, atol=1e-12)


def blur_maps(x: np.ndarray) -> np.ndarray:
    """Smooth maps [N, C, H, W] with SciPy."""
    line = np.array([0.25, 0.5, 0.25])
    maps = [convolve2d(m, np.outer(line, line), "same") for m in x.reshape(-1, *x.shape[2:])]
    return np.stack(maps).reshape(x.shape)


def convolve_maps(x: np.ndarray, layer: EqualisedConv2d) -> np.ndarray:
    """Apply a layer's 3×3 convolution with SciPy, without its bias."""
    weight = layer.weight.detach().numpy() * np.sqrt(2 / (9 * x.shape[1]))
    images, maps = len(x), len(weight)
    made = np.zeros((images, maps, *x.shape[2:]))
    for image, after, before in np.ndindex(images, maps, x.shape[1]):
        kernel = weight[after, before, ::-1, ::-1]
        made[image, after] += convolve2d(x[image, before], kernel, "same")
    return made


@pytest.mark.parametrize("blur", [False, True])
def test_upsampled_convolution(blur: bool) -> None:
    layer = UpsampledConv2d(3, 2, blur).double()
    nn.init.normal_(layer.bias)
    x = rows(2, 3, 5, 5)
    expected = convolve_maps(x.numpy().repeat(2, 2).repeat(2, 3), layer)
    expected = blur_maps(expected) if blur else expected
    expected = expected + layer.bias.detach().numpy()[:, None, None]
    for module in (layer, layer.fold()):
        np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("blur", [False, True])
def test_downsampled_convolution(blur: bool) -> None:
    layer = DownsampledConv2d(3, 2, blur).double()
    nn.init.normal_(layer.bias)
    x = rows(2, 3, 6, 6)
    full = convolve_maps(blur_maps(x.numpy()) if blur else x.numpy(), layer)
    expected = full.reshape(2, 2, 3, 2, 3, 2).mean((3, 5))
    expected = expected + layer.bias.detach().numpy()[:, None, None]
    for module in (layer, layer.fold()):
        np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", [(5, 7), (3, 8, 4, 4), (3, 40, 4, 4)])
def test_pixel_norm(shape: tuple[int, ...]) -> None:
    x = rows(*shape)
    values = x.numpy()
    expected = values / np.sqrt((values**2).mean(1, keepdims=True) + EPSILON)
    for module in (PixelNorm(), PlainPixelNorm(), fold(PixelNorm())):
        np.testing.assert_allclose(module(x).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("channels", [8, 40])
def test_gradient_of_pixel_norm(channels: int) -> None:
    x = rows(2, channels, 3, 3).requires_grad_(True)
    assert torch.autograd.gradcheck(PixelNorm(), x)


def test_minibatch_deviation() -> None:
    x = rows(8, 3, 2, 2)
    made = MinibatchDeviation(4)(x)
    torch.testing.assert_close(made[:, :3], x)
    for start in (0, 1):  # images 0, 2, 4, 6 and 1, 3, 5, 7
        group = x[start::2].numpy()
        deviation = np.sqrt(group.var(0) + EPSILON).mean()
        np.testing.assert_allclose(made[start::2, 3].numpy(), deviation, rtol=1e-12)


@pytest.mark.parametrize(("count", "group"), [(6, 3), (7, 1), (4, 4), (1, 1)])
def test_groups_of_any_batch(count: int, group: int) -> None:
    """Groups are the largest divisor up to 4."""
    x = rows(count, 2, 2, 2)
    channel = MinibatchDeviation(4)(x)[:, 2, 0, 0].numpy()
    parts = x.numpy().reshape(group, count // group, -1)
    expected = np.tile(np.sqrt(parts.var(0) + EPSILON).mean(1), group)
    np.testing.assert_allclose(channel, expected, rtol=1e-12)


def test_to_rgb_is_a_convolution_to_the_range_of_images() -> None:
    layer = ToRGB(7, 3).double()
    nn.init.normal_(layer.bias)
    x = rows(2, 7, 5, 6)
    kernel = layer.weight * layer.scale
    expected = F.conv2d(x, kernel, layer.bias) / 2 + 0.5
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(layer.fold()(x), expected, rtol=1e-12, atol=1e-12)
    assert layer.float()(x.bfloat16().float()).dtype == torch.float32
