"""Conversion of images to the size and mode that a feature network expects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo import corruption

Images = NDArray[np.uint8]

FRAME = 4
"""Images that are up to this many pixels larger have a frame, which is removed."""


def fit(images: Images, size: int, channels: int, frame: int = 0) -> Images:
    """Convert images uint8 [N, H, W, C] to [N, size, size, channels].

    Square images that are up to `frame` pixels larger are cropped (Fashion-MNIST at 32 pixels has a
    frame of 2); others are resized, bilinear with antialiasing. Grey is repeated in every channel;
    colours become luma. Images that fit are returned unchanged.
    """
    have = images.shape[3]
    if have != channels:
        images = corruption.grey(images) if channels == 1 else images.repeat(channels, axis=3)
    height, width = images.shape[1:3]
    if (height, width) == (size, size):
        return images
    if height == width and 0 < height - size <= frame:
        start = (height - size) // 2
        return images[:, start : start + size, start : start + size]
    resized = np.empty((len(images), size, size, channels), np.uint8)
    for row, image in enumerate(images):
        picture = Image.fromarray(image[..., 0] if channels == 1 else image)
        small = picture.resize((size, size), Image.Resampling.BILINEAR)
        resized[row] = np.asarray(small).reshape(size, size, channels)
    return resized
