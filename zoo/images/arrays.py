"""Arrays in files, read some rows at a time: `.npy`, `.npz`, and IDX, plain or gzip-compressed.

The one reader of such files. Nothing is unpickled, and no memory is made for what a header
announces and the file does not hold.
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
from zoo.images.reading import check_regular, readable

_NPY = b"\x93NUMPY"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_GZIP = b"\x1f\x8b"

_IDX_UINT8 = 0x08
_IDX_TYPES = (_IDX_UINT8, 0x09, 0x0B, 0x0C, 0x0D, 0x0E)

_ENCRYPTED = 0x1
"""The bit of a member's flags that says so."""

_MOST_DEFLATED = 1032
"""Bytes that a compressed byte may stand for, with which a header that announces more is wrong."""

_PIECE = 2**24
"""Bytes that are read at a time."""


class ArrayFile:
    """An array in an open file: its `shape` and `dtype`, and its rows one block after another.

    `said` is dtype and shape as they are in the file; `shape` may be set to another
    of the same size, before anything is read. `held` is how many bytes follow the
    header, or with `exact` false the most that may follow. Raises DataError where that
    is too few, or too many.
    """

    def __init__(
        self,
        path: Path,
        file: IO[bytes],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        held: int,
        exact: bool = True,
    ) -> None:
        self.path = path
        self.shape = shape
        self.dtype = dtype
        self.said = f"{dtype} {list(shape)}"
        self._file = file
        self._done = 0
        announced = math.prod(shape) * dtype.itemsize
        if held < announced or (exact and held > announced):
            raise self._other_size(held > announced)

    def read(self, rows: int) -> NDArray[Any]:
        """The next rows, at most `rows`; none at the end. DataError for a damaged file."""
        rows = min(rows, self.shape[0] - self._done)
        self._done += rows
        with readable(self.path):
            array: NDArray[Any] = np.empty((rows, *self.shape[1:]), self.dtype)
            whole = self._fill(array)
            # Reading past the end is what checks the sum of a compressed file.
            more = self._done == self.shape[0] and bool(self._file.read(1))
        if more or not whole:
            raise self._other_size(more)
        return array

    def _fill(self, array: NDArray[Any]) -> bool:
        """Read all of an array; False where the file ends before."""
        left = array.reshape(-1).view(np.uint8).data if array.nbytes else memoryview(b"")
        while len(left):
            piece = self._file.read(min(_PIECE, len(left)))
            if not piece:
                return False
            left[: len(piece)] = piece
            left = left[len(piece) :]
        return True

    def _other_size(self, longer: bool) -> DataError:
        return DataError(
            f"{self.path} is {'longer' if longer else 'shorter'} than its header says ({self.said})"
        )


class Archive:
    """The arrays in an open `.npz`, by name."""

    def __init__(self, path: Path, file: zipfile.ZipFile) -> None:
        self._path = path
        self._file = file
        members = (member for member in file.namelist() if member.endswith(".npy"))
        self.names = [member.removesuffix(".npy") for member in members]

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def read(self, name: str) -> NDArray[Any]:
        """A whole array. DataError for a damaged one, or where there is none of that name."""
        with self.opened(name) as array:
            return _whole(array)

    @contextmanager
    def opened(self, name: str) -> Iterator[ArrayFile]:
        """An array at its first row; of another name, if it is the only one. Raises DataError."""
        if name not in self.names and len(self.names) != 1:
            held = ", ".join(self.names) or "no arrays"
            raise DataError(f"{self._path} holds {held}; expected one array named {name}")
        with ExitStack() as stack:
            with readable(self._path):
                found = name if name in self.names else self.names[0]
                member = self._file.getinfo(f"{found}.npy")
                if member.flag_bits & _ENCRYPTED:
                    raise DataError(f"cannot read {self._path}: {found} is encrypted")
                file = stack.enter_context(self._file.open(member))
                array = _npy(self._path, file, member.file_size)
            yield array


def is_array(path: Path) -> bool:
    """Whether the bytes at the start are those of a kind that `opened` reads. Raises DataError."""
    with readable(path):
        check_regular(path)
        with path.open("rb") as file:
            start = file.read(6)
    if not start:
        raise DataError(f"{path} is empty")
    return start.startswith((_NPY, *_ZIP, _GZIP)) or _is_idx(start)


@contextmanager
def opened(path: Path, name: str = "images") -> Iterator[ArrayFile]:
    """The array in the file `path`, at its first row.

    An `.npz` holds an array of that `name`, or one array only. Raises DataError.
    """
    with ExitStack() as stack:
        with readable(path):
            check_regular(path)
            file = stack.enter_context(path.open("rb"))
            start = file.read(6)
            if not start:
                raise DataError(f"{path} is empty")
            file.seek(0)
            size = os.fstat(file.fileno()).st_size
            if start.startswith(_ZIP):
                archive = stack.enter_context(zipfile.ZipFile(file))
                array = stack.enter_context(Archive(path, archive).opened(name))
            elif start.startswith(_GZIP):
                unpacked = gzip.GzipFile(fileobj=file)
                stack.callback(unpacked.close)
                array = _idx(path, cast(IO[bytes], unpacked), size * _MOST_DEFLATED, exact=False)
            elif start.startswith(_NPY):
                array = _npy(path, file, size)
            elif start.startswith(b"\0\0"):
                array = _idx(path, file, size, exact=True)
            else:
                raise DataError(f"{path} is no .npy, .npz or IDX file")
        yield array


@contextmanager
def opened_archive(path: Path) -> Iterator[Archive]:
    """The arrays in the `.npz` file `path`. Raises DataError."""
    with ExitStack() as stack:
        with readable(path):
            check_regular(path)
            file = stack.enter_context(zipfile.ZipFile(path))
        yield Archive(path, file)


def read(path: Path, name: str = "images") -> NDArray[Any]:
    """The whole array in a file, as `opened` finds it. Raises DataError."""
    with opened(path, name) as array:
        return _whole(array)


def mapped(path: Path) -> NDArray[Any]:
    """The array in an `.npy` file, mapped into memory; what is written to it stays there.

    Raises DataError.
    """
    with readable(path):
        check_regular(path)
        array: NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    return array


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, gzip-compressed or plain, as a uint8 array.

    The bytes decide whether it is compressed, not the file's name. Raises `DataError` when the
    file is missing, damaged, longer or shorter than its header says, or of another element type.
    """
    with readable(path):
        check_regular(path)
        with path.open("rb") as file:
            start = file.read(4)
    if not start.startswith((_GZIP, b"\0\0")):
        raise DataError(f"{path} is not an IDX file")
    return read(path)


def _whole(array: ArrayFile) -> NDArray[Any]:
    if not array.shape:
        array.shape = (1,)
        return array.read(1).reshape(())
    return array.read(array.shape[0])


def _npy(path: Path, file: IO[bytes], size: int) -> ArrayFile:
    """The array in `.npy` of `size` bytes."""
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise DataError(f"{path} is .npy of version {version[0]}.{version[1]}, expected 1.0 or 2.0")
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    try:
        shape, transposed, dtype = header(file)
    except Exception as error:  # NumPy takes it for Python, so it raises what a compiler does
        raise DataError(f"cannot read {path}: its header is not that of an array") from error
    if dtype.hasobject:
        raise DataError(f"{path} holds Python objects, which are never read")
    if dtype.subdtype is not None or any(length < 0 for length in shape):
        raise DataError(f"cannot read {path}: its header says {dtype} {list(shape)}")
    array = ArrayFile(path, file, shape, dtype, size - file.tell())
    if not transposed or len(shape) < 2:
        return array
    # Its rows are not together in the file, so this kind is read whole.
    array.shape = shape[::-1]
    rows = np.ascontiguousarray(_whole(array).T)
    return ArrayFile(path, io.BytesIO(rows.tobytes()), shape, dtype, rows.nbytes)


def _idx(path: Path, file: IO[bytes], size: int, exact: bool) -> ArrayFile:
    """The array in IDX of `size` bytes, or at most so many."""
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


__all__ = [
    "Archive",
    "ArrayFile",
    "is_array",
    "mapped",
    "opened",
    "opened_archive",
    "read",
    "read_idx",
]
