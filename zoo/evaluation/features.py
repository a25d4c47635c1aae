"""Loading of feature networks, by name or from engine files."""

from __future__ import annotations

from pathlib import Path

from runtime import manifest
from zoo.data import DataSet
from zoo.engines import resolve
from zoo.errors import ConfigError
from zoo.evaluation.networks import (
    BATCH,
    EFFICIENTNET,
    FACES,
    FASHION,
    IN_DOMAIN,
    INCEPTION,
    NAMES,
    FeatureNetwork,
    Images,
    check_images,
    file_identity,
)


def choose_name(name: str | None, data: DataSet) -> str:
    """Return the network of a `name` that may be `IN_DOMAIN` or, for the default, None."""
    if name == IN_DOMAIN:
        return find_in_domain(data)
    return name or default_name(data.channels)


def default_name(channels: int) -> str:
    """Return the default network: for grey images one trained on clothes, else one on photos.

    Both come with the package or its extra `evaluate`; nothing is downloaded.
    """
    return FASHION if channels == 1 else EFFICIENTNET


def find_in_domain(data: DataSet) -> str:
    """Return the name of the shipped network trained on the classes or attributes of a data set.

    Raises `ConfigError` if there is none.
    """
    for name in (FASHION, FACES):
        document = manifest.read(resolve(f"{name}.onnx"))
        if document["scores"]["names"] in (data.classes, data.attributes):
            return name
    raise ConfigError(
        f"features {IN_DOMAIN}: there is no network for {data.name}; the data of {FASHION} are "
        f"Fashion-MNIST, those of {FACES} faces"
    )


def load(
    name: str, weights: str | Path | None = None, size: int = 64, threads: int | None = None
) -> FeatureNetwork:
    """Load a feature network by its name (`NAMES`), or from an engine file (`.onnx`).

    Args:
        name: `fashion-classifier` and `face-features` are shipped engines; `efficientnet-lite0`
            needs the extra `evaluate`; `inception` the published weights of the FID's Inception.
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
    if name in (FASHION, FACES) or name.endswith(".onnx"):
        from zoo.evaluation.engine_features import EngineFeatures

        return EngineFeatures(f"{name}.onnx" if name in (FASHION, FACES) else name, threads)
    raise ConfigError(
        f"features: expected {known}, or a classifier engine (.onnx) with features, got {name!r}"
    )


__all__ = [
    "BATCH",
    "FACES",
    "INCEPTION",
    "IN_DOMAIN",
    "NAMES",
    "FeatureNetwork",
    "Images",
    "check_images",
    "choose_name",
    "default_name",
    "file_identity",
    "find_in_domain",
    "load",
]
