"""Sets of samples for the calibration of int8 and fp8 plans."""

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
"""Seed of latents and corruption, fixed so that each engine has one calibration set."""


@dataclass(frozen=True)
class Calibration:
    """Source and number of the samples.

    `source` is the name of a data set, a folder of pictures, an `.npz` file, or an `.npy` file of
    input rows: latents float32 [n, D] or images uint8 [n, H, W, C]. None stands for latents from
    the prior, or for the training images of a model without one.

    Raises:
        ExportError: too few or too many samples.
    """

    source: str | None = None
    count: int = SAMPLES

    def __post_init__(self) -> None:
        if not FEWEST <= self.count <= MOST:
            raise ExportError(
                f"calibration samples must be between {FEWEST} and {MOST}, got {self.count}"
            )


def load_images(
    manifest: dict[str, Any], engine: Path, calibration: Calibration
) -> tuple[NDArray[np.uint8], str]:
    """Load training images [n, H, W, C], not held-out ones, and the name of their source.

    Args:
        manifest: of the engine at `engine`.
        calibration: source and number of the images.

    Raises:
        ExportError: the images are unavailable.
    """
    name = calibration.source or (manifest.get("training") or {}).get("data")
    remedy = "pass --calibrate a data set, a folder of pictures, or an .npy file of input rows"
    if not name:
        raise ExportError(f"{engine.name} does not name its training data; {remedy}")
    shape = manifest["image"]
    try:
        images = _load(name, calibration.count, shape["height"], shape["channels"])
    except (ZooError, OSError) as error:
        raise ExportError(
            f"{engine.name} is calibrated with images, but {name} is unavailable: {error}; {remedy}"
        ) from error
    # The manifest contains no folders.
    return images, Path(name).name


def _load(name: str, count: int, size: int, channels: int) -> NDArray[np.uint8]:
    from zoo import data

    name = data.find_named(name) or name
    if name == "faces" and (size, channels) == (64, 3):
        from zoo.data import faces

        # Draw only as many as needed; every tenth is held out.
        images = faces.make(0, count + count // 9 + 1, processes=1)[0]
        return images[np.arange(len(images)) % 10 != 9][:count]
    return data.load(name, size, channels, download=False).train.images[:count]
