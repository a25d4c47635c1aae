"""IDX, the format of MNIST and Fashion-MNIST: a big-endian header, then the raw array."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from zoo.errors import DataError

_UINT8 = 0x08


def read_idx(path: Path) -> np.ndarray:
    """Read an IDX file of unsigned bytes, gzip-compressed or plain, as a uint8 array.

    The bytes decide whether it is compressed, not the file's name. Raises `DataError` when the
    file is missing, damaged, longer or shorter than its header says, or of another element type.
    """
    content = _read(path)
    if len(content) < 4 or content[:2] != b"\0\0":
        raise DataError(f"{path} is not an IDX file")
    kind, dimensions = content[2], content[3]
    if kind != _UINT8:
        raise DataError(f"{path} holds elements of type 0x{kind:02x}, expected unsigned bytes 0x08")
    start = 4 + 4 * dimensions
    if dimensions == 0 or len(content) < start:
        raise DataError(f"{path} ends inside its header")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    expected = math.prod(shape)
    if len(content) - start != expected:
        raise DataError(
            f"{path} holds {len(content) - start} bytes after its header, which announces "
            f"{expected} (shape {'×'.join(map(str, shape))})"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is a damaged gzip file: {error}") from error
