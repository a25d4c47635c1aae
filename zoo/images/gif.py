"""Animated GIFs written frame by frame, in constant memory.

Pillow's own writer keeps all frames in memory and joins equal neighbours; here
the file has exactly the frames that were given. Format: GIF89a specification,
CompuServe 1990; looping: the Netscape 2.0 application extension.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from zoo.images.convert import enlarge, to_pillow

_GREY_TABLE = bytes(level for grey in range(256) for level in (grey, grey, grey))
_TABLE_OF_256 = 0xF7  # a global table, 8 bits a colour, 2^(7+1) entries
_FOREVER = b"!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"


class GifWriter:
    """Writes an endless animation of [H, W, C] uint8 images to `file`, one frame each.

    Grey images keep their pixels exactly; colour images get the best 256
    colours of each frame. `factor` enlarges by repeating pixels; `duration` is
    the time of a frame in milliseconds, in steps of 10.
    """

    def __init__(
        self, file: BinaryIO, height: int, width: int, factor: int = 1, duration: int = 120
    ) -> None:
        self._file = file
        self._factor = factor
        self._duration = duration
        file.write(b"GIF89a")
        file.write(struct.pack("<HHBBB", width * factor, height * factor, _TABLE_OF_256, 0, 0))
        file.write(_GREY_TABLE)
        file.write(_FOREVER)

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append one frame."""
        from PIL.GifImagePlugin import getdata

        frame = to_pillow(enlarge(image, self._factor))
        grey = frame.mode == "L"
        if not grey:
            frame = frame.convert("RGB").quantize(256)
        for block in getdata(frame, duration=self._duration, include_color_table=not grey):
            self._file.write(block)

    def close(self) -> None:
        """Write the trailer; the file itself stays open."""
        self._file.write(b";")


__all__ = ["GifWriter"]
