"""Inputs and outputs of an engine as tensors of the protocol, by the role in its manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zoo.errors import ConfigError
from zoo.serving.kserve.tensors import TensorSpec

Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class Layout:
    """What clients of an engine send and get.

    engine: the class of `runtime` that opens it. options: the parameters that a request may have.
    """

    engine: str
    inputs: tuple[TensorSpec, ...]
    output: TensorSpec
    options: tuple[str, ...] = ()


KEYS = (TensorSpec("seed", "UINT64", (-1, 1)), TensorSpec("index", "UINT64", (-1, 1)))
"""Seed and index of each image."""


def _describe_generator(manifest: Manifest) -> Layout:
    """Images by seed and index, or of latents if the decoder has no prior."""
    images = _images(manifest["image"])
    if manifest["latent"]["prior"] == "none":
        return Layout("Generator", (_latents(manifest),), images)
    inputs = [*KEYS]
    if (manifest.get("condition") or {}).get("count"):
        inputs.append(TensorSpec("label", "INT64", (-1, 1), optional=True, alternative="BYTES"))
    return Layout("Generator", tuple(inputs), images, ("prior", "truncation", "noise"))


def _describe_encoder(manifest: Manifest) -> Layout:
    """Latents of images: the means, where the encoder gives distributions."""
    return Layout("Encoder", (_images(manifest["image"]),), _latents(manifest))


def _describe_classifier(manifest: Manifest) -> Layout:
    """Scores of images, in the order of the manifest's names."""
    scores = TensorSpec("scores", "FP32", (-1, len(manifest["scores"]["names"])))
    return Layout("Classifier", (_images(manifest["image"]),), scores)


def _describe_translator(manifest: Manifest) -> Layout:
    """Images of images, with target attributes, and keys if layers draw noise."""
    inputs = [_images(manifest["input"])]
    if names := (manifest.get("condition") or {}).get("names"):
        inputs.append(TensorSpec("attributes", "FP32", (-1, len(names))))
    if "noise" in manifest:
        inputs += KEYS
    return Layout("Translator", tuple(inputs), _images(manifest["image"]))


def _images(image: Manifest) -> TensorSpec:
    return TensorSpec("images", "UINT8", (-1, image["height"], image["width"], image["channels"]))


def _latents(manifest: Manifest) -> TensorSpec:
    return TensorSpec("latents", "FP32", (-1, manifest["latent"]["width"]))


_ROLES: dict[str, Callable[[Manifest], Layout]] = {
    "generator": _describe_generator,
    "encoder": _describe_encoder,
    "classifier": _describe_classifier,
    "translator": _describe_translator,
}


def describe(manifest: Manifest) -> Layout:
    """Return the tensors of an engine. Raises ConfigError for a role that is not served."""
    role = manifest["role"]
    if role not in _ROLES:
        raise ConfigError(f"an engine of the role {role}, expected {' or '.join(_ROLES)}")
    return _ROLES[role](manifest)
