"""Runs of small adversarial models with lively random weights, as training leaves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from toy_runs import save_run
from zoo.models import registry

STYLEGAN: dict[str, Any] = {
    "image_size": 8,
    "latent": 16,
    "style": 16,
    "mapping_layers": 2,
    "widths": (16, 8),
    "discriminator_widths": (8, 8),
    "stable_images": 0,
    "fade_images": 0,
}
"""Options of a small StyleGAN, all grown."""


def enliven(model: nn.Module, gain: float = 3.0) -> None:
    """Weights, biases and running statistics as different from one another as trained ones."""
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.running_mean.normal_(0, 0.2)
                layer.running_var.uniform_(0.3, 1.5)
        for name, buffer in model.named_buffers():
            if name.endswith("style_mean"):
                buffer.normal_(0, 0.2)
        for parameter in model.parameters():
            if parameter.ndim > 1 and parameter.any():
                parameter.mul_(gain)
            else:
                parameter.add_(0.2 * torch.randn_like(parameter))


def write_run(
    folder: Path, name: str, options: dict[str, Any], gain: float = 3.0, **fields: Any
) -> nn.Module:
    """The folder of a run of that model; returns the model, in evaluation mode."""
    torch.manual_seed(0)
    model: Any = registry.get(name).make(options)
    enliven(model, gain)
    save_run(folder, name, model, **fields)
    return model.eval()
