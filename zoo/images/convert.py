"""Conversion of image arrays to Pillow images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.errors import OutputError

if TYPE_CHECKING:
    from PIL.Image import Image

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's mode by the number of channels that a picture file can hold."""


def mode_of(channels: int) -> str:
    """Return Pillow's mode for a number of channels. Raises OutputError if there is none."""
    try:
        return MODES[channels]
    except KeyError:
        raise OutputError(
            f"picture files hold 1, 3 or 4 channels, but this engine makes {channels}: "
            "write .npy or .npz"
        ) from None


def to_pillow(image: NDArray[np.uint8]) -> Image:
    """Convert an array [H, W, C] uint8, C = 1, 3 or 4, to a Pillow image."""
    from PIL import Image

    mode_of(image.shape[2])
    return Image.fromarray(np.ascontiguousarray(image[:, :, 0] if image.shape[2] == 1 else image))


def enlarge(images: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Enlarge […, H, W, C] to […, H·factor, W·factor, C] by repeating pixels."""
    return images.repeat(factor, axis=-3).repeat(factor, axis=-2)


def display_factor(size: int, target: int = 84) -> int:
    """Return the factor, at least 1, that enlarges `size` pixels to at most `target` pixels."""
    return max(1, target // size)
