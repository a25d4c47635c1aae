"""Loading of feature networks, by name or from engine files."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import ConfigError
from zoo.evaluation.networks import (
    BATCH,
    EFFICIENTNET,
    FASHION,
    INCEPTION,
    NAMES,
    FeatureNetwork,
    Images,
    check_images,
    file_identity,
)


def default_name(channels: int) -> str:
    """Return the default network: for grey images one trained on clothes, else one on photos.

    Both come with the package or its extra `evaluate`; nothing is downloaded.
    """
    return FASHION if channels == 1 else EFFICIENTNET


def load(
    name: str, weights: str | Path | None = None, size: int = 64, threads: int | None = None
) -> FeatureNetwork:
    """Load a feature network by its name (`NAMES`), or from an engine file (`.onnx`).

    Args:
        name: `fashion-classifier` is the shipped engine; `efficientnet-lite0` needs the extra
            `evaluate`; `inception` needs the published weights of the FID's Inception.
        weights: the file for `inception`, pt_inception-2015-12-05.pth; None for the others.
        size: side of the images, in pixels; `efficientnet-lite0` is built for one size.
        threads: CPU threads of an engine (None: one per core).

    Raises:
        ConfigError: an unknown name, or missing or unexpected weights.
        runtime.errors.EngineNotFoundError, EngineFileError: no such engine, or a damaged one.
        DataError: weights that are missing, damaged, or of another network.
    """
    known = ", ".join(NAMES)
    if name == INCEPTION:
        if weights is None:
            raise ConfigError(
                "features inception: expected --weights FILE, the published "
                "pt_inception-2015-12-05.pth; it is not downloaded"
            )
        from zoo.evaluation.inception import load as load_inception

        return load_inception(Path(weights))
    if weights is not None:
        raise ConfigError(f"weights: expected none for the features {name}, got {weights}")
    if name == EFFICIENTNET:
        from zoo.evaluation.efficientnet import load as load_efficientnet

        return load_efficientnet(size)
    if name == FASHION or name.endswith(".onnx"):
        from zoo.evaluation.engine_features import EngineFeatures

        return EngineFeatures(f"{name}.onnx" if name == FASHION else name, threads)
    raise ConfigError(
        f"features: expected {known}, or a classifier engine (.onnx) with features, got {name!r}"
    )


__all__ = [
    "BATCH",
    "INCEPTION",
    "NAMES",
    "FeatureNetwork",
    "Images",
    "check_images",
    "default_name",
    "file_identity",
    "load",
]
