"""Feature networks: what images are measured by.

A distance between sets of images is one between their features in some network, and means nothing
without its name: every report names the network, and numbers of two networks are never compared.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ConfigError, DataError

Images = NDArray[np.uint8]
Features = NDArray[np.float32]
Probabilities = NDArray[np.float32]

FASHION = "fashion-classifier"
EFFICIENTNET = "efficientnet-lite0"
INCEPTION = "inception"
NAMES = (FASHION, EFFICIENTNET, INCEPTION)
"""The feature networks that have a name; any classifier engine with features is one too."""

BATCH = 250
"""Images that are measured at a time, by default."""


class FeatureNetwork(ABC):
    """A network whose features and, maybe, class probabilities images are measured by.

    `name` is for people; `identity` are the first digits of the SHA-256 of its weights, so that two
    networks of one name are told apart; `width` is the number of features; `classes` are what its
    probabilities are of, empty where `probabilities` says that it gives none; `input` says what
    becomes of an image of another size or mode.
    """

    name: str
    identity: str
    width: int
    classes: tuple[str, ...] = ()
    input: str

    @property
    def probabilities(self) -> bool:
        """Whether calls return probabilities."""
        return bool(self.classes)

    def __call__(self, images: Images) -> tuple[Features, Probabilities | None]:
        """Measure images uint8 [N, H, W, C] of 1 or 3 channels.

        Returns features [N, width] and probabilities [N, K], or None where it gives none. Raises
        `DataError` for other images.
        """
        check_images(images)
        return self._measure(images)

    @abstractmethod
    def _measure(self, images: Images) -> tuple[Features, Probabilities | None]: ...

    def stream(
        self, batches: Iterable[Images], seen: Callable[[int], None] = lambda count: None
    ) -> Iterator[tuple[Features, Probabilities | None]]:
        """Measure batches one by one; `seen` is told how many images each had."""
        for images in batches:
            yield self(images)
            seen(len(images))

    def __str__(self) -> str:
        return f"{self.name} {self.identity}"


def check_images(images: Images) -> None:
    """Raise `DataError` unless these are images uint8 [N, H, W, C] of 1 or 3 channels."""
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise DataError(
            f"images: expected uint8 [N, H, W, C] of 1 or 3 channels, got {images.dtype} "
            f"{list(images.shape)}"
        )
    if not len(images):
        raise DataError("images: expected at least one")


def default_name(channels: int) -> str:
    """The network for images of so many channels: grey ones look like clothes, others like photos.

    Both come with the package or its extra `evaluate`; nothing is downloaded.
    """
    return FASHION if channels == 1 else EFFICIENTNET


def load(
    name: str, weights: str | Path | None = None, size: int = 64, threads: int | None = None
) -> FeatureNetwork:
    """Load the feature network of that name (`NAMES`), or in that engine file (`.onnx`).

    Args:
        name: `fashion-classifier` is the shipped engine; `efficientnet-lite0` needs the extra
            `evaluate`; `inception` needs the published weights of the FID's Inception.
        weights: the file of `inception`, pt_inception-2015-12-05.pth; None for the others.
        size: side of the images to come, in pixels; `efficientnet-lite0` is made for one size.
        threads: CPU threads of an engine (None: one a core).

    Raises:
        ConfigError: an unknown name, or weights where none are expected or none are given.
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


def identity_of(file: Path) -> str:
    """The first twelve digits of a file's SHA-256."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(2**20):
            digest.update(block)
    return digest.hexdigest()[:12]


__all__ = [
    "BATCH",
    "NAMES",
    "FeatureNetwork",
    "check_images",
    "default_name",
    "identity_of",
    "load",
]
