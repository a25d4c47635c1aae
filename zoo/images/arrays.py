"""Arrays in files, read some rows at a time: `.npy`, `.npz`, and IDX, plain or gzip-compressed."""

from __future__ import annotations

import gzip
import io
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from zoo.errors import DataError

_NPY = b"\x93NUMPY"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_GZIP = b"\x1f\x8b"
_IDX = b"\0\0\x08"

_BROKEN = (
    OSError,
    ValueError,
    EOFError,
    zlib.error,
    zipfile.BadZipFile,
    NotImplementedError,
    tokenize.TokenError,  # NumPy, for a header that is not Python
)
"""What the readers of the standard library and NumPy raise for a file they cannot read."""


class ArrayFile:
    """An array in an open file: its `shape` and `dtype`, and its rows one block after another.

    `said` is dtype and shape as they are in the file; `shape` may be set to another
    of the same size, before anything is read.
    """

    def __init__(
        self, path: Path, file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[np.generic]
    ) -> None:
        self.path = path
        self.shape = shape
        self.dtype = dtype
        self.said = f"{dtype} {list(shape)}"
        self._file = file
        self._done = 0

    def read(self, rows: int) -> NDArray[np.generic]:
        """The next rows, at most `rows`; none at the end. DataError for a damaged file."""
        rows = min(rows, self.shape[0] - self._done)
        self._done += rows
        size = rows * math.prod(self.shape[1:]) * self.dtype.itemsize
        with readable(self.path):
            content = self._file.read(size)
            # Reading past the end is what checks the sum of a compressed file.
            more = self._done == self.shape[0] and self._file.read(1)
        if len(content) != size or more:
            raise DataError(
                f"{self.path} is {'longer' if more else 'shorter'} than its header says "
                f"({self.said})"
            )
        return np.frombuffer(content, self.dtype).reshape(rows, *self.shape[1:])


def is_array(path: Path) -> bool:
    """Whether the bytes at the start are those of a kind that `opened` reads."""
    with readable(path), path.open("rb") as file:
        start = file.read(6)
    if not start:
        raise DataError(f"{path} is empty")
    return start.startswith((_NPY, *_ZIP, _GZIP, _IDX))


@contextmanager
def opened(path: Path, name: str = "images") -> Iterator[ArrayFile]:
    """The array in the file `path`, at its first row.

    An `.npz` holds an array of that `name`, or one array only. Nothing is unpickled.
    Raises DataError.
    """
    with ExitStack() as stack:
        with readable(path):
            array = _array(path, name, stack)
        yield array


def _array(path: Path, name: str, stack: ExitStack) -> ArrayFile:
    file = stack.enter_context(path.open("rb"))
    start = file.read(6)
    file.seek(0)
    if start.startswith(_ZIP):
        archive = stack.enter_context(zipfile.ZipFile(file))
        return _npy(path, stack.enter_context(archive.open(_member(archive, name, path))))
    if start.startswith(_GZIP):
        unpacked = gzip.GzipFile(fileobj=file)
        stack.callback(unpacked.close)
        return _idx(path, cast(IO[bytes], unpacked))
    return _npy(path, file) if start.startswith(_NPY) else _idx(path, file)


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> str:
    members = [member for member in archive.namelist() if member.endswith(".npy")]
    if f"{name}.npy" in members:
        return f"{name}.npy"
    if len(members) == 1:
        return members[0]
    held = ", ".join(member.removesuffix(".npy") for member in members) or "no arrays"
    raise DataError(f"{path} holds {held}; expected one array named {name}")


def _npy(path: Path, file: IO[bytes]) -> ArrayFile:
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise DataError(f"{path} is .npy of version {version[0]}.{version[1]}, expected 1.0 or 2.0")
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, transposed, dtype = header(file)
    if dtype.hasobject:
        raise DataError(f"{path} holds Python objects, which are never read")
    if transposed and len(shape) > 1:
        # Its rows are not together in the file, so this kind is read whole.
        array = np.frombuffer(file.read(), dtype).reshape(shape, order="F")
        file = io.BytesIO(array.tobytes())
    return ArrayFile(path, file, shape, dtype)


def _idx(path: Path, file: IO[bytes]) -> ArrayFile:
    start = file.read(4)
    if len(start) < 4 or not start.startswith(_IDX):
        raise DataError(f"{path} is not an IDX file of unsigned bytes")
    sizes = file.read(4 * start[3])
    if not start[3] or len(sizes) < 4 * start[3]:
        raise DataError(f"{path} ends inside its header")
    return ArrayFile(path, file, struct.unpack(f">{start[3]}I", sizes), np.dtype(np.uint8))


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Whatever reading raises because of a missing or damaged file, as a DataError."""
    try:
        yield
    except _BROKEN as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise DataError(f"cannot read {path}: {reason or error}") from error


__all__ = ["ArrayFile", "is_array", "opened", "readable"]
