"""Block-wise reader of arrays in `.npy`, `.npz` and IDX files, plain or gzip-compressed.

Nothing is unpickled, and no memory is allocated for data that a header announces but the file
does not contain.
"""

from __future__ import annotations

import gzip
import io
import math
import os
import struct
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from zoo.errors import DataError
from zoo.images.reading import check_regular, data_errors

NPY = b"\x93NUMPY"
"""The first bytes of an `.npy` file."""

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_GZIP = b"\x1f\x8b"

_IDX_UINT8 = 0x08
_IDX_TYPES = (_IDX_UINT8, 0x09, 0x0B, 0x0C, 0x0D, 0x0E)

_ENCRYPTED = 0x1
"""Flag of an encrypted zip member."""

_MAX_DEFLATE_RATIO = 1032
"""Upper bound of bytes that one compressed byte expands to."""

_CHUNK = 2**24
"""Bytes read at a time."""


class ArrayFile:
    """Array in an open file: its `shape` and `dtype`, and its rows, read block by block.

    `description` is the dtype and shape in the file; `shape` may be replaced by another of the
    same size before reading. `available` is the number of bytes after the header, or an upper
    bound unless `exact`. Raises DataError if that does not match the shape.
    """

    def __init__(
        self,
        path: Path,
        file: IO[bytes],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        available: int,
        exact: bool = True,
    ) -> None:
        self.path = path
        self.shape = shape
        self.dtype = dtype
        self.description = f"{dtype} {list(shape)}"
        self._file = file
        self._done = 0
        expected = math.prod(shape) * dtype.itemsize
        if available < expected or (exact and available > expected):
            raise self._size_error(available > expected)

    def read(self, rows: int) -> NDArray[Any]:
        """Read the next rows, at most `rows` and none at the end. Raises DataError."""
        rows = min(rows, self.shape[0] - self._done)
        self._done += rows
        with data_errors(self.path):
            array: NDArray[Any] = np.empty((rows, *self.shape[1:]), self.dtype)
            complete = self._fill(array)
            # Reading past the end verifies the checksum of a compressed file.
            excess = self._done == self.shape[0] and bool(self._file.read(1))
        if excess or not complete:
            raise self._size_error(excess)
        return array

    def _fill(self, array: NDArray[Any]) -> bool:
        """Read a whole array; return False if the file ends early."""
        remaining = array.reshape(-1).view(np.uint8).data if array.nbytes else memoryview(b"")
        while len(remaining):
            chunk = self._file.read(min(_CHUNK, len(remaining)))
            if not chunk:
                return False
            remaining[: len(chunk)] = chunk
            remaining = remaining[len(chunk) :]
        return True

    def _size_error(self, longer: bool) -> DataError:
        size = "longer" if longer else "shorter"
        return DataError(f"{self.path} is {size} than its header says ({self.description})")


class Archive:
    """Arrays in an open `.npz`, by name."""

    def __init__(self, path: Path, file: zipfile.ZipFile) -> None:
        self._path = path
        self._file = file
        members = (member for member in file.namelist() if member.endswith(".npy"))
        self.names = [member.removesuffix(".npy") for member in members]

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def read(self, name: str) -> NDArray[Any]:
        """Read a whole array. Raises DataError as `open`."""
        with self.open(name) as array:
            return _read_all(array)

    @contextmanager
    def open(self, name: str) -> Iterator[ArrayFile]:
        """Open an array for reading; the only array of a file is found under any name.

        Raises DataError for a damaged or missing array.
        """
        if name not in self.names and len(self.names) != 1:
            names = ", ".join(self.names) or "no arrays"
            raise DataError(f"{self._path} holds {names}; expected one array named {name}")
        with ExitStack() as stack:
            with data_errors(self._path):
                name = name if name in self.names else self.names[0]
                member = self._file.getinfo(f"{name}.npy")
                if member.flag_bits & _ENCRYPTED:
                    raise DataError(f"cannot read {self._path}: {name} is encrypted")
                file = stack.enter_context(self._file.open(member))
                array = _open_npy(self._path, file, member.file_size)
            yield array


def is_array(path: Path) -> bool:
    """Return True if a file starts like one that `open_array` reads. Raises DataError."""
    with data_errors(path):
        check_regular(path)
        with path.open("rb") as file:
            start = file.read(6)
    if not start:
        raise DataError(f"{path} is empty")
    return start.startswith((NPY, *_ZIP, _GZIP)) or _is_idx(start)


@contextmanager
def open_array(path: Path, name: str = "images") -> Iterator[ArrayFile]:
    """Open the array in a file for reading.

    An `.npz` must hold an array of that `name`, or a single array. Raises DataError.
    """
    with ExitStack() as stack:
        with data_errors(path):
            check_regular(path)
            file = stack.enter_context(path.open("rb"))
            start = file.read(6)
            if not start:
                raise DataError(f"{path} is empty")
            file.seek(0)
            size = os.fstat(file.fileno()).st_size
            if start.startswith(_ZIP):
                archive = stack.enter_context(zipfile.ZipFile(file))
                array = stack.enter_context(Archive(path, archive).open(name))
            elif start.startswith(_GZIP):
                unpacked = cast(IO[bytes], stack.enter_context(gzip.GzipFile(fileobj=file)))
                array = _open_idx(path, unpacked, size * _MAX_DEFLATE_RATIO, exact=False)
            elif start.startswith(NPY):
                array = _open_npy(path, file, size)
            elif start.startswith(b"\0\0"):
                array = _open_idx(path, file, size, exact=True)
            else:
                raise DataError(f"{path} is not a .npy, .npz or IDX file")
        yield array


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open an `.npz` file. Raises DataError."""
    with ExitStack() as stack:
        with data_errors(path):
            check_regular(path)
            file = stack.enter_context(zipfile.ZipFile(path))
        yield Archive(path, file)


def read(path: Path, name: str = "images") -> NDArray[Any]:
    """Read the whole array of a file, found as by `open_array`. Raises DataError."""
    with open_array(path, name) as array:
        return _read_all(array)


def read_npy(content: bytes, name: str) -> NDArray[Any]:
    """Return the array in the content of an `.npy` file, called `name` in errors: DataError."""
    path = Path(name)
    with data_errors(path):
        if not content.startswith(NPY):
            raise DataError(f"{name} is not an .npy file")
        return _read_all(_open_npy(path, io.BytesIO(content), len(content)))


def map_array(path: Path) -> NDArray[Any]:
    """Map the array of an `.npy` file into memory, copy-on-write. Raises DataError."""
    with data_errors(path):
        check_regular(path)
        array: NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    return array


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, gzip-compressed or plain, as a uint8 array.

    Compression is detected by content, not by name. Raises `DataError` if the file is missing,
    damaged, longer or shorter than its header says, or of another element type.
    """
    with data_errors(path):
        check_regular(path)
        with path.open("rb") as file:
            start = file.read(4)
    if not start.startswith((_GZIP, b"\0\0")):
        raise DataError(f"{path} is not an IDX file")
    return read(path)


def _read_all(array: ArrayFile) -> NDArray[Any]:
    if not array.shape:
        array.shape = (1,)
        return array.read(1).reshape(())
    return array.read(array.shape[0])


def _open_npy(path: Path, file: IO[bytes], size: int) -> ArrayFile:
    """Open an `.npy` of `size` bytes."""
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise DataError(f"{path}: .npy version {version[0]}.{version[1]}, expected 1.0 or 2.0")
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    try:
        shape, transposed, dtype = header(file)
    except Exception as error:  # NumPy parses the header as Python, which may raise anything
        raise DataError(f"cannot read {path}: its header is not that of an array") from error
    if dtype.hasobject:
        raise DataError(f"{path} holds Python objects, which are never read")
    if dtype.subdtype is not None or any(length < 0 for length in shape):
        raise DataError(f"cannot read {path}: its header says {dtype} {list(shape)}")
    array = ArrayFile(path, file, shape, dtype, size - file.tell())
    if not transposed or len(shape) < 2:
        return array
    # The rows of a Fortran-ordered array are not contiguous, so it is read whole.
    array.shape = shape[::-1]
    rows = np.ascontiguousarray(_read_all(array).T)
    return ArrayFile(path, io.BytesIO(rows.tobytes()), shape, dtype, rows.nbytes)


def _open_idx(path: Path, file: IO[bytes], size: int, exact: bool) -> ArrayFile:
    """Open an IDX of `size` bytes, or of at most `size` bytes unless `exact`."""
    start = file.read(4)
    if len(start) < 4 or not start.startswith(b"\0\0"):
        raise DataError(f"{path} is not an IDX file")
    if start[2] != _IDX_UINT8:
        raise DataError(
            f"{path} holds elements of type 0x{start[2]:02x}, expected unsigned bytes 0x08"
        )
    sizes = file.read(4 * start[3])
    if not start[3] or len(sizes) < 4 * start[3]:
        raise DataError(f"{path} ends inside its header")
    shape = struct.unpack(f">{start[3]}I", sizes)
    return ArrayFile(path, file, shape, np.dtype(np.uint8), size - 4 - len(sizes), exact)


def _is_idx(start: bytes) -> bool:
    return len(start) > 3 and start[:2] == b"\0\0" and start[2] in _IDX_TYPES and start[3] > 0
