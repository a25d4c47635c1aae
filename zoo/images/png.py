"""PNG files of 8 bits, without Pillow: `isal` compresses them where it is installed, else zlib."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def _choose_compressor() -> Any:
    try:
        from isal import isal_zlib
    except ModuleNotFoundError:
        # Not for any ImportError: where memory ends, a library that is there cannot be loaded, and
        # files made then would not have the bytes of others.
        return zlib
    return isal_zlib


fast_zlib = _choose_compressor()
"""The module `isal_zlib`, or `zlib`."""

COMPRESSOR: str = fast_zlib.__name__.rpartition(".")[2]
"""What compresses: the bytes of a file depend on it, the image does not."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def encode(image: NDArray[np.uint8]) -> bytes:
    """Return the PNG file of an image [H, W, C], with 1 to 4 channels.

    Rows are not filtered: for the flat colours of drawings and garments that is smallest, and it is
    fastest (PNG specification, third edition, section 12.7).
    """
    height, width, channels = image.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)
    rows[:, 1:] = image.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    content = fast_zlib.compress(rows.data, 1)
    return b"".join(
        (_SIGNATURE, _chunk(b"IHDR", header), _chunk(b"IDAT", content), _chunk(b"IEND", b""))
    )


def _chunk(kind: bytes, content: Any) -> bytes:
    check = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
