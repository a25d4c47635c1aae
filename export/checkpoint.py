"""Checkpoints of training runs, loaded for the export."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from export.errors import CheckpointError
from export.mixture import GaussianMixture
from zoo.images.reading import sha256
from zoo.models import registry
from zoo.models.folding import to_inference
from zoo.models.generators import is_style_based
from zoo.models.registry import ModelEntry

EXPORTED_MODULES = ("encoder", "decoder", "generator")
"""Modules of a model with a latent whose parameters are in its engine files."""


@dataclass(frozen=True)
class Checkpoint:
    """A trained model with its config.json.

    `entry` is its entry in the registry; `shape` is (height, width, channels) of the images that it
    makes or classifies. `trained` is the model before `zoo.models.folding`, None if not folded.
    """

    model: nn.Module
    config: dict[str, Any]
    entry: ModelEntry
    shape: tuple[int, int, int]
    sha256: str
    trained: nn.Module | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class LatentCheckpoint(Checkpoint):
    """A trained model with a latent; its decoder may be any of `zoo.models.generators`.

    `encoder`, None if the model has none, maps images [N, C, H, W] in [0, 1] to (mu, logvar), each
    [N, D], or to mu alone if `posterior` is "deterministic"; `decoder` maps latents [N, D] to mean
    images [N, C, H, W], which need no clipping to [0, 1] if `bounded`. `mixture` is the learned
    prior, None if there is none.
    """

    encoder: nn.Module | None
    decoder: nn.Module
    latent: int
    bounded: bool
    prior: str
    posterior: str
    mixture: GaussianMixture | None = field(default=None, kw_only=True)

    @property
    def deterministic(self) -> bool:
        """True if the encoder returns mu alone."""
        return self.posterior == "deterministic"

    @property
    def classes(self) -> int:
        """Number of classes of a conditional decoder, else 0."""
        return int(getattr(self.decoder, "classes", 0))

    @property
    def style_based(self) -> bool:
        """True if the decoder is a `zoo.models.generators.StyleGenerator`."""
        return is_style_based(self.decoder)

    def outside(self) -> dict[str, Any]:
        """Return the parameters outside of encoder and decoder, as nested lists."""
        return {
            name: value.tolist()
            for name, value in self.model.state_dict().items()
            if name.partition(".")[0] not in EXPORTED_MODULES
        }


def load(path: Path) -> Checkpoint:
    """Load the folder of a run, its weights file (`.safetensors`), or an engine (`.onnx`).

    Adversarial models are reduced and folded by `zoo.models.folding.to_inference`.

    Raises:
        zoo.errors.TrainingError: missing, damaged, or not a checkpoint.
        CheckpointError: the model cannot be exported, or a weight is not finite.
    """
    from zoo.models import weights

    file = path if path.is_file() else path / "checkpoint.safetensors"
    trained, config = weights.load(path)
    trained.eval()
    for name, value in trained.state_dict().items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise CheckpointError(f"{path}: the weight {name} is not finite")
    entry = registry.get(str(config["model"]))
    adversarial = hasattr(trained, "generator")
    model: Any = to_inference(trained, hasattr(trained, "classifier")) if adversarial else trained
    try:
        size, channels = int(model.config.image_size), int(model.config.channels)
        common = (model, config, entry, (size, size, channels), sha256(file))
        if not hasattr(model.config, "latent"):
            return Checkpoint(*common, trained=trained if adversarial else None)
        decoder: Any = model.generator if adversarial else model.decoder
        encoder = getattr(model, "encoder", None)
        return LatentCheckpoint(
            *common,
            encoder=encoder,
            decoder=decoder,
            latent=int(model.config.latent),
            bounded=bool(getattr(decoder, "bounded", False)),
            prior=str(model.prior),
            posterior=str(model.posterior) if encoder is not None else "gaussian",
            trained=trained if adversarial else None,
        )
    except AttributeError as error:
        raise CheckpointError(f"{path}: the model cannot be exported: {error}") from error
