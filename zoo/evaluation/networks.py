"""Feature networks: what images are measured by.

A distance between sets of images is one between their features in some network, and means nothing
without its name: every report names the network, and numbers of two networks are never compared.
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


def identity_of(file: Path) -> str:
    """The first twelve digits of a file's SHA-256."""
    return sha256(file)[:12]
