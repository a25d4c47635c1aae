"""Network outputs for sets of images, and the cache of those for real ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo import cache
from zoo.errors import DataError, OutputError
from zoo.images.arrays import open_archive
from zoo.images.atomic import lock_output, replace_file


@dataclass(frozen=True)
class Measured:
    """Network outputs for n images.

    features: float32 [n, F]; probabilities: float32 [n, K] of the network's classes, or None;
    attributes: bool [n, A] by the judge, or None.
    """

    features: NDArray[np.float32]
    probabilities: NDArray[np.float32] | None = None
    attributes: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.features)

    @property
    def classes(self) -> NDArray[np.int64] | None:
        """Most probable class of each image, [n], or None."""
        return None if self.probabilities is None else self.probabilities.argmax(1)


def load_or_measure(images: str, measured_by: str, measure: Callable[[], Measured]) -> Measured:
    """Load outputs from the cache folder, or measure and save them.

    `images` and `measured_by` identify the images and the networks. Raises `OutputError` if the
    cache cannot be written.
    """
    digest = hashlib.sha256(f"{images}, {measured_by}".encode()).hexdigest()[:24]
    path = cache.folder() / "features" / f"{digest}.npz"
    found = _read(path)
    if found is not None:
        return found
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    with lock_output(path, wait=True):
        found = _read(path)
        if found is None:
            found = measure()
            tables = {name: table for name, table in vars(found).items() if table is not None}
            with replace_file(path, locked=True) as temporary, temporary.open("wb") as file:
                np.savez(file, **tables)
    return found


def _read(path: Path) -> Measured | None:
    """Read outputs; None if the file is missing or damaged."""
    try:
        with open_archive(path) as archive:
            return Measured(**{name: archive.read(name) for name in archive.names})
    except (DataError, TypeError):
        return None
