"""Animated GIFs, written frame by frame in constant memory.

Pillow's own writer keeps all frames in memory and merges equal neighbours. This one
writes every frame, each compressed by Pillow.
Format: GIF89a specification, CompuServe 1990; looping: the Netscape 2.0
application extension.
"""

from __future__ import annotations

import io
import struct
from typing import IO

import numpy as np
from numpy.typing import NDArray

from zoo.images.convert import enlarge, to_pillow

_GREY_TABLE = bytes(level for grey in range(256) for level in (grey, grey, grey))
_HAS_TABLE = 0x80
_BITS_MINUS_1 = 0x07
_SCREEN_FLAGS = _HAS_TABLE | 7 << 4 | 7  # 8 bits a colour, 256 entries
_FOREVER = b"!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
_HEADER_SIZE = 13
_DESCRIPTOR_SIZE = 10


class GifWriter:
    """Writer of an endless animation of [H, W, C] uint8 images, one frame each.

    Grey images keep their pixels exactly; colour frames are quantised to 256 colours each.
    `factor` enlarges by repeating pixels; `duration` is the time of a frame in milliseconds,
    in steps of 10.
    """

    def __init__(
        self, file: IO[bytes], height: int, width: int, factor: int = 1, duration: int = 120
    ) -> None:
        self._file = file
        self._factor = factor
        self._size = (width * factor, height * factor)
        self._control = struct.pack("<BBBBHBB", 0x21, 0xF9, 4, 0, duration // 10, 0, 0)
        file.write(b"GIF89a")
        file.write(struct.pack("<HHBBB", *self._size, _SCREEN_FLAGS, 0, 0))
        file.write(_GREY_TABLE)
        file.write(_FOREVER)

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append one frame."""
        frame = to_pillow(enlarge(image, self._factor))
        if frame.mode != "L":
            frame = frame.convert("RGB").quantize(256)
        single = io.BytesIO()
        frame.save(single, format="GIF", optimize=False, interlace=0)
        flags, table, data = _parts(single.getvalue())
        if frame.mode == "L":
            # Grey frames use the global colour table.
            flags, table = 0, b""
        self._file.write(self._control)
        self._file.write(struct.pack("<BHHHHB", 0x2C, 0, 0, *self._size, flags))
        self._file.write(table)
        self._file.write(data)

    def close(self) -> None:
        """Write the trailer; the file itself stays open."""
        self._file.write(b";")


def _parts(gif: bytes) -> tuple[int, bytes, bytes]:
    """Split a GIF of one frame into flags of a local table, the table, and compressed pixels."""
    bits_minus_1 = gif[10] & _BITS_MINUS_1
    start = _HEADER_SIZE + 3 * 2 ** (bits_minus_1 + 1)
    table = gif[_HEADER_SIZE:start]
    while gif[start] == 0x21:  # extensions: two bytes, then sub-blocks up to an empty one
        start += 2
        while gif[start]:
            start += gif[start] + 1
        start += 1
    return _HAS_TABLE | bits_minus_1, table, gif[start + _DESCRIPTOR_SIZE : -1]
