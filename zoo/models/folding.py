"""Conversion of trained networks to the smaller equivalents that engine files hold.

Batch normalisation in evaluation is an affine function of each channel, so it can be folded into
the preceding convolution or dense layer (Jacob et al. 2017, arXiv:1712.05877, section 3.2). Other
layers with a simpler inference form, such as those with an equalised learning rate, return it from
`fold()`.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

DISCRIMINATOR = "discriminator"
"""Name of the network that is used for training only."""

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fold(module: nn.Module) -> nn.Module:
    """Return a copy of a network in evaluation mode, with the same results and fewer layers.

    A submodule with a method `fold() -> nn.Module` is replaced by its result; in every
    `nn.Sequential` a batch normalisation with running statistics is merged into the (transposed)
    convolution or dense layer right before it, which gets a bias. The remaining layers keep their
    names. The result's structure depends on the module's structure only, never on its weights.
    Folding is idempotent.
    """
    return _fold(copy.deepcopy(module), {}).eval()


def to_inference(model: nn.Module, classifies: bool = False) -> nn.Module:
    """Return a copy of a model as in its engine files: folded, without its discriminator.

    With `classifies` the discriminator stays, because the model's classifier is part of it.
    """
    model = copy.deepcopy(model)
    for name, child in list(model.named_children()):
        if name == DISCRIMINATOR and not classifies:
            delattr(model, name)
        else:
            setattr(model, name, fold(child))
    return model.eval()


def _fold(module: nn.Module, done: dict[nn.Module, nn.Module]) -> nn.Module:
    """Fold in place; `done` keeps a shared module shared."""
    if module in done:
        return done[module]
    with torch.no_grad():
        own: Any = getattr(module, "fold", None)
        result: nn.Module = own() if callable(own) else module
    done[module] = done[result] = result
    for name, child in list(result._modules.items()):
        if child is not None:
            setattr(result, name, _fold(child, done))
    if isinstance(result, nn.Sequential):
        _fold_norms(result)
    return result


def _fold_norms(layers: nn.Sequential) -> None:
    before = ""
    for name, layer in list(layers._modules.items()):
        if before and _is_foldable(layers._modules[before], layer):
            setattr(layers, before, fold_norm(layers._modules[before], layer))
            delattr(layers, name)
        else:
            before = name


def _is_foldable(layer: nn.Module | None, norm: nn.Module | None) -> bool:
    linear = isinstance(layer, (*_CONVOLUTIONS, *_TRANSPOSED, nn.Linear))
    return linear and isinstance(norm, _NORMS) and norm.running_mean is not None


def fold_norm(layer: Any, norm: Any) -> nn.Module:
    """Return the layer that computes norm(layer(x)) in evaluation.

    γ (W x + b - μ) / √(σ² + ε) + β is a layer with weights s W and bias s (b - μ) + β, where
    s = γ / √(σ² + ε) for each output channel.
    """
    kind = layer.weight.dtype
    with torch.no_grad():
        scale = (norm.running_var.double() + norm.eps).rsqrt()
        if norm.weight is not None:
            scale = scale * norm.weight.double()
        bias = -norm.running_mean.double()
        if layer.bias is not None:
            bias = bias + layer.bias.double()
        bias = scale * bias
        if norm.bias is not None:
            bias = bias + norm.bias.double()
        merged: Any = copy.deepcopy(layer)
        merged.weight.copy_(_scale_weight(layer, scale).to(kind))
        merged.bias = nn.Parameter(bias.to(kind))
    return merged


def _scale_weight(layer: Any, scale: Tensor) -> Tensor:
    """Return a layer's weights multiplied by a factor per output channel, in float64."""
    weight = layer.weight.double()
    if not isinstance(layer, _TRANSPOSED):
        return weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    # [inputs, outputs / groups, …], the groups one after the other along the inputs.
    grouped = weight.unflatten(0, (layer.groups, -1))
    shape = (layer.groups, 1, -1, *[1] * (weight.ndim - 2))
    return (grouped * scale.reshape(shape)).flatten(0, 1)
