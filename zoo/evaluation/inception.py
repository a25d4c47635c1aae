"""Inception v3 as used for the FID: the graph of 2015-12-05 in PyTorch, without its weights.

Szegedy et al. 2015, "Rethinking the Inception Architecture" (arXiv:1512.00567), figures 5 to 7 and
table 1, with the details of TensorFlow's `classify_image_graph_def.pb`: average pools that exclude
padding, a maximum pool in the last block, 1,008 logits, and the bilinear resizing of TensorFlow 1.
Parameters are named as in the published file pt_inception-2015-12-05.pth.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import DataError
from zoo.evaluation.networks import (
    INCEPTION,
    FeatureNetwork,
    Features,
    Images,
    Probabilities,
    file_identity,
)

SIDE = 299
FEATURES = 2048
LOGITS = 1008

_BATCH = 25

Size = int | tuple[int, int]


class Convolution(nn.Module):
    """A convolution without bias, batch normalisation (ε = 0.001), ReLU."""

    def __init__(
        self, inputs: int, outputs: int, size: Size, stride: int = 1, padding: Size = 0
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """Return the activations."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


def _chain(block: nn.Module, branch: str, inputs: int, *layers: tuple[int, Size, Size]) -> None:
    """Add a branch's convolutions (outputs, size, padding) to a block, numbered if several."""
    for number, (outputs, size, padding) in enumerate(layers, 1):
        name = branch if len(layers) == 1 else f"{branch}_{number}"
        setattr(block, name, Convolution(inputs, outputs, size, padding=padding))
        inputs = outputs


def _average(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class Block35(nn.Module):
    """Figure 5, on 35×35: 1×1, 5×5, twice 3×3, and pooling, side by side."""

    def __init__(self, inputs: int, pooled: int) -> None:
        super().__init__()
        _chain(self, "branch1x1", inputs, (64, 1, 0))
        _chain(self, "branch5x5", inputs, (48, 1, 0), (64, 5, 2))
        _chain(self, "branch3x3dbl", inputs, (64, 1, 0), (96, 3, 1), (96, 3, 1))
        _chain(self, "branch_pool", inputs, (pooled, 1, 0))

    def forward(self, x: Tensor) -> Tensor:
        """Return the branches' channels together."""
        wide = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), wide, double, self.branch_pool(_average(x))], 1)


class Reduction35(nn.Module):
    """From 35×35 to 17×17 (figure 10)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3 = Convolution(inputs, 384, 3, stride=2)
        self.branch3x3dbl_1 = Convolution(inputs, 64, 1)
        self.branch3x3dbl_2 = Convolution(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the branches' channels together."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], 1)


class Block17(nn.Module):
    """Figure 6, on 17×17: 7×7 filters as 1×7 and 7×1, with `width` channels inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        across: tuple[Size, Size] = ((1, 7), (0, 3))
        down: tuple[Size, Size] = ((7, 1), (3, 0))
        _chain(self, "branch1x1", 768, (192, 1, 0))
        _chain(self, "branch7x7", 768, (width, 1, 0), (width, *across), (192, *down))
        inner = ((width, *down), (width, *across), (width, *down), (192, *across))
        _chain(self, "branch7x7dbl", 768, (width, 1, 0), *inner)
        _chain(self, "branch_pool", 768, (192, 1, 0))

    def forward(self, x: Tensor) -> Tensor:
        """Return the branches' channels together."""
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_2(self.branch7x7dbl_1(x))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(self.branch7x7dbl_3(double)))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(_average(x))], 1)


class Reduction17(nn.Module):
    """From 17×17 to 8×8."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1 = Convolution(768, 192, 1)
        self.branch3x3_2 = Convolution(192, 320, 3, stride=2)
        self.branch7x7x3_1 = Convolution(768, 192, 1)
        self.branch7x7x3_2 = Convolution(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = Convolution(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = Convolution(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the branches' channels together."""
        single = self.branch3x3_2(self.branch3x3_1(x))
        split = self.branch7x7x3_2(self.branch7x7x3_1(x))
        split = self.branch7x7x3_4(self.branch7x7x3_3(split))
        return torch.cat([single, split, F.max_pool2d(x, 3, stride=2)], 1)


class Block8(nn.Module):
    """Figure 7, on 8×8: 3×3 filters as 1×3 beside 3×1; the last block pools the maximum."""

    def __init__(self, inputs: int, maximum: bool) -> None:
        super().__init__()
        self.maximum = maximum
        _chain(self, "branch1x1", inputs, (320, 1, 0))
        self.branch3x3_1 = Convolution(inputs, 384, 1)
        self.branch3x3_2a = Convolution(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = Convolution(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = Convolution(inputs, 448, 1)
        self.branch3x3dbl_2 = Convolution(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = Convolution(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = Convolution(384, 384, (3, 1), padding=(1, 0))
        _chain(self, "branch_pool", inputs, (192, 1, 0))

    def forward(self, x: Tensor) -> Tensor:
        """Return the branches' channels together."""
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = F.max_pool2d(x, 3, stride=1, padding=1) if self.maximum else _average(x)
        parts = [
            self.branch1x1(x),
            self.branch3x3_2a(single),
            self.branch3x3_2b(single),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(pooled),
        ]
        return torch.cat(parts, 1)


class Inception(nn.Module):
    """Network from images [N, 3, 299, 299] in [-1, 1] to features [N, 2048] and logits [N, 1008].

    The logits omit the bias, as in the Inception score of Salimans et al. 2016.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3)
        self.Mixed_5b = Block35(192, pooled=32)
        self.Mixed_5c = Block35(256, pooled=64)
        self.Mixed_5d = Block35(288, pooled=64)
        self.Mixed_6a = Reduction35(288)
        self.Mixed_6b = Block17(128)
        self.Mixed_6c = Block17(160)
        self.Mixed_6d = Block17(160)
        self.Mixed_6e = Block17(192)
        self.Mixed_7a = Reduction17()
        self.Mixed_7b = Block8(1280, maximum=False)
        self.Mixed_7c = Block8(2048, maximum=True)
        self.fc = nn.Linear(FEATURES, LOGITS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and logits."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = F.max_pool2d(x, 3, stride=2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
        x = F.max_pool2d(x, 3, stride=2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))
        x = self.Mixed_6e(self.Mixed_6d(x))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        features = x.mean((2, 3))
        return features, features @ self.fc.weight.T


def resize(images: Tensor, side: int = SIDE) -> Tensor:
    """Resize float images [N, C, H, W] to [N, C, side, side], bilinear as in TensorFlow 1.

    Pixel i of the result is at position i · H / side of the image, without half-pixel centres or
    antialiasing (`tf.image.resize_bilinear`, align_corners=False).
    """
    for axis in (2, 3):
        length = images.shape[axis]
        places = torch.arange(side, dtype=torch.float32) * (length / side)
        low = places.long()
        high = (low + 1).clamp(max=length - 1)
        shape = [1, 1, 1, 1]
        shape[axis] = side
        weight = (places - low).reshape(shape).to(images)
        first, second = images.index_select(axis, low), images.index_select(axis, high)
        images = first + (second - first) * weight
    return images


class InceptionFeatures(FeatureNetwork):
    """Features of an `Inception`; see `load`."""

    name = INCEPTION
    width = FEATURES
    classes = tuple(f"logit {number}" for number in range(LOGITS))
    input = f"{SIDE}×{SIDE}×3, bilinear as in TensorFlow 1"

    def __init__(self, network: Inception, identity: str) -> None:
        self.network = network.eval().requires_grad_(False)
        self.identity = identity

    @torch.no_grad()
    def _measure(self, images: Images) -> tuple[Features, Probabilities]:
        if images.shape[3] == 1:
            images = images.repeat(3, axis=3)
        features, probabilities = [], []
        for start in range(0, len(images), _BATCH):
            rows = np.ascontiguousarray(images[start : start + _BATCH].transpose(0, 3, 1, 2))
            found, logits = self.network((resize(torch.from_numpy(rows).float()) - 128) / 128)
            features.append(found.numpy())
            probabilities.append(logits.softmax(1).numpy())
        return np.concatenate(features), np.concatenate(probabilities)


def load(weights: Path) -> InceptionFeatures:
    """Load the network with the published weights, without running code from the file.

    Raises `DataError` if it is missing, damaged, or for another network.
    """
    if not weights.is_file():
        raise DataError(f"weights {weights}: no such file")
    try:
        tensors = torch.load(weights, map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise DataError(f"weights {weights}: not a file of PyTorch weights, or damaged") from error
    # The random initialisation must not advance PyTorch's global generator.
    with torch.random.fork_rng(devices=[]):
        network = Inception()
    expected = network.state_dict()
    if not isinstance(tensors, dict):
        raise DataError(f"weights {weights}: expected a table of tensors")
    for name, value in expected.items():
        tensor = tensors.get(name)
        if tensor is None and name.endswith("num_batches_tracked"):
            tensors[name] = value
        elif not isinstance(tensor, Tensor) or tensor.shape != value.shape:
            raise DataError(
                f"weights {weights}: expected the FID's Inception v3, but {name} of shape "
                f"{list(value.shape)} is missing"
            )
    network.load_state_dict({name: tensors[name] for name in expected})
    return InceptionFeatures(network, file_identity(weights))
