"""Which samples int8 and fp8 plans are calibrated with, and images for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from zoo.errors import ZooError

SAMPLES = 256
FEWEST = 16
MOST = 4096
SEED = 0x5CA1E5
"""Seed of the latents and the corruption for calibration: a file has one calibration set."""


@dataclass(frozen=True)
class Calibration:
    """Where the samples come from, and how many are taken.

    `source` is a data set's name, a folder of pictures, an `.npz` file, or an `.npy` file that
    holds the rows themselves: latents float32 [n, D] or images uint8 [n, H, W, C]. None stands for
    latents of the prior, else for the images that the model was trained on.

    Raises:
        ExportError: too few samples, or too many.
    """

    source: str | None = None
    count: int = SAMPLES

    def __post_init__(self) -> None:
        if not FEWEST <= self.count <= MOST:
            raise ExportError(f"calibration samples: expected {FEWEST} to {MOST}, got {self.count}")


def images(
    manifest: dict[str, Any], engine: Path, calibration: Calibration
) -> tuple[NDArray[np.uint8], str]:
    """Images [n, H, W, C] to learn from, none of those to measure on, and in words whose.

    Args:
        manifest: of the engine, and `engine` its place.
        calibration: which images, and how many.

    Raises:
        ExportError: there are none, with what helps.
    """
    name = calibration.source or (manifest.get("training") or {}).get("data")
    remedy = (
        "give --calibrate a data set, a folder of pictures, or an .npy file of the input's rows"
    )
    if not name:
        raise ExportError(f"{engine.name} does not say what it was trained on; {remedy}")
    shape = manifest["image"]
    try:
        images = _load(name, calibration.count, shape["height"], shape["channels"])
    except (ZooError, OSError) as error:
        raise ExportError(
            f"{engine.name} is calibrated with images, and {name} cannot be had: {error}; {remedy}"
        ) from error
    # Where a folder is goes into no manifest.
    return images, Path(name).name


def _load(name: str, count: int, size: int, channels: int) -> NDArray[np.uint8]:
    from zoo import data

    if name == "faces" and (size, channels) == (64, 3):
        from zoo.data import faces

        # As many as are needed; every tenth is to measure on.
        drawn = faces.make(0, count + count // 9 + 1, processes=1)[0]
        return drawn[np.arange(len(drawn)) % 10 != 9][:count]
    loaded = data.load(name, size, channels, download=False)
    return loaded.train.images[:count]
