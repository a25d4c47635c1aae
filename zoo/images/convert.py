"""Image arrays to Pillow images."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError, OutputError

if TYPE_CHECKING:
    from PIL.Image import Image

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's mode for each number of channels that a picture file can hold."""


def mode_of(channels: int) -> str:
    """Pillow's mode for images of that many channels; OutputError where there is none."""
    try:
        return MODES[channels]
    except KeyError:
        raise OutputError(
            f"picture files hold 1, 3 or 4 channels and this engine makes {channels}: "
            "write .npy or .npz"
        ) from None


def to_pillow(image: NDArray[np.uint8]) -> Image:
    """Pillow image of the array [H, W, C] uint8, C = 1, 3 or 4, with the same pixels."""
    from PIL import Image

    mode_of(image.shape[2])
    return Image.fromarray(np.ascontiguousarray(image[:, :, 0] if image.shape[2] == 1 else image))


def opened(path: Path) -> Image:
    """The picture at `path`, not decoded yet; raises what Image.open does, without its warning."""
    from PIL import Image

    with warnings.catch_warnings():
        # What Pillow takes for an attack is an error; what might be one is only large.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(path)


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """What Pillow raises in the body for the picture at `path` becomes a DataError."""
    from PIL import Image

    try:
        yield
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        # SyntaxError is what Pillow raises for a broken PNG.
        raise DataError(f"cannot read the picture {path}: {error}") from error


def eight_bits(picture: Image) -> Image:
    """A picture of 16 bits a pixel with the 8 leading ones, where Pillow would cut off at 255."""
    if not picture.mode.startswith("I;16"):
        return picture
    from PIL import Image

    return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))


def enlarge(images: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """[…, H, W, C] to […, H·factor, W·factor, C], every pixel repeated."""
    return images.repeat(factor, axis=-3).repeat(factor, axis=-2)


def display_factor(size: int, target: int = 84) -> int:
    """How many times to enlarge an image of `size` pixels to at most `target` pixels; 1 or more."""
    return max(1, target // size)


__all__ = [
    "MODES",
    "decoding",
    "display_factor",
    "eight_bits",
    "enlarge",
    "mode_of",
    "opened",
    "to_pillow",
]
