"""Reads what training wrote, and says what an engine file needs to know about the model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from export.errors import CheckpointError


@dataclass(frozen=True)
class Checkpoint:
    """A trained model with its config.json.

    `encoder` takes images [N, C, H, W] in [0, 1] to (mu, logvar), each [N, D];
    `decoder` takes latents [N, D] to mean images [N, C, H, W]; `bounded` says
    that those are in [0, 1] by themselves. `shape` is (height, width, channels).
    """

    model: nn.Module
    encoder: nn.Module
    decoder: nn.Module
    config: dict[str, Any]
    latent: int
    shape: tuple[int, int, int]
    bounded: bool
    sha256: str


def load(path: Path) -> Checkpoint:
    """Load the folder of a run, or a weights file of it (`.safetensors`).

    Raises:
        zoo.errors.TrainingError: missing, damaged, or not a checkpoint.
        CheckpointError: not a model with encoder and decoder, or weights that
            are not finite.
    """
    from zoo.training import weights

    file = path if path.is_file() else path / "checkpoint.safetensors"
    model, config = weights.load_weights(path) if path.is_file() else weights.load_run(path)
    model.eval()
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise CheckpointError(f"{path}: the weight {name} is not finite")
    try:
        options, encoder, decoder = model.config, model.encoder, model.decoder
        latent, channels = int(options.latent), int(options.channels)
        size = int(options.image_size)
    except AttributeError as error:
        raise CheckpointError(f"{path}: the model cannot be exported: {error}") from error
    return Checkpoint(
        model=model,
        encoder=encoder,
        decoder=decoder,
        config=config,
        latent=latent,
        shape=(size, size, channels),
        bounded=bool(getattr(decoder, "bernoulli", False)),
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
    )
