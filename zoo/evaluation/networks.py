"""Base class of feature networks.

A distance between sets of images is a distance between their features in some network. Every report
names that network, and numbers of different networks are never compared.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError
from zoo.images.reading import sha256

Images = NDArray[np.uint8]
Features = NDArray[np.float32]
Probabilities = NDArray[np.float32]

FASHION = "fashion-classifier"
FACES = "face-features"
EFFICIENTNET = "efficientnet-lite0"
INCEPTION = "inception"
IN_DOMAIN = "in-domain"
"""Name of the shipped network trained on data of the same kind as those measured."""

NAMES = (FASHION, FACES, EFFICIENTNET, INCEPTION)
"""Named feature networks; any classifier engine with features can be used too."""

BATCH = 250
"""Default number of images measured at a time."""


class FeatureNetwork(ABC):
    """Network that computes features and optionally class probabilities of images.

    `identity` is a prefix of the SHA-256 of the weights, which distinguishes networks of the same
    `name`; `width` is the number of features; `classes` names the probabilities, or is empty
    without them; `input` describes the conversion of images of another size or mode.
    """

    name: str
    identity: str
    width: int
    classes: tuple[str, ...] = ()
    input: str

    @property
    def probabilities(self) -> bool:
        """True if calls return probabilities."""
        return bool(self.classes)

    def __call__(self, images: Images) -> tuple[Features, Probabilities | None]:
        """Measure images uint8 [N, H, W, C] of 1 or 3 channels.

        Returns features [N, width], and probabilities [N, K] or None. Raises `DataError` for other
        images.
        """
        check_images(images)
        return self._measure(images)

    @abstractmethod
    def _measure(self, images: Images) -> tuple[Features, Probabilities | None]: ...

    def stream(
        self, batches: Iterable[Images], seen: Callable[[int], None] = lambda count: None
    ) -> Iterator[tuple[Features, Probabilities | None]]:
        """Measure batches one by one; `seen` is called with the number of images of each."""
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


def file_identity(file: Path) -> str:
    """Return the first twelve digits of a file's SHA-256."""
    return sha256(file)[:12]
