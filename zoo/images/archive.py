"""Block-wise writer of `.npz` files whose arrays have an unknown number of rows."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

from zoo.images import atomic
from zoo.images.npy import write_header


class ArchiveWriter:
    """Writer of an `.npz` file, obtained from `create`. Nothing is pickled.

    Rows are spooled to temporary files next to the output, because an array's header
    precedes its data and contains the number of rows.
    """

    def __init__(self, folder: str | os.PathLike[str], stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._members: list[Callable[[zipfile.ZipFile], None]] = []

    def add_rows(
        self, name: str, dtype: DTypeLike, shape: tuple[int, ...] = ()
    ) -> Callable[[NDArray[Any]], None]:
        """Add an array `name` [n, *shape], and return the function that appends rows to it."""
        kind = np.dtype(dtype)
        content = self._spool()
        count = 0

        def write(rows: NDArray[Any]) -> None:
            nonlocal count
            content.write(np.ascontiguousarray(rows, kind).data)
            count += len(rows)

        def finish(archive: zipfile.ZipFile) -> None:
            content.seek(0)
            with _member(archive, name) as file:
                write_header(file, (count, *shape), kind)
                shutil.copyfileobj(content, file, 2**20)

        self._members.append(finish)
        return write

    def add_strings(self, name: str) -> Callable[[Sequence[str]], None]:
        """Add an array of strings `name` [n], and return the function that appends to it."""
        content = self._spool()
        count = longest = 0

        def write(strings: Sequence[str]) -> None:
            nonlocal count, longest
            content.write("".join(f"{string}\0" for string in strings).encode())
            count += len(strings)
            longest = max([longest, *map(len, strings)])

        def finish(archive: zipfile.ZipFile) -> None:
            content.seek(0)
            kind = np.dtype((np.str_, max(1, longest)))
            # Compressed, since strings padded at four bytes a character are mostly zeros.
            with _member(archive, name, zipfile.ZIP_DEFLATED) as file:
                write_header(file, (count,), kind)
                rest = b""
                while block := content.read(2**16):
                    *whole, rest = (rest + block).split(b"\0")
                    file.write(np.array([string.decode() for string in whole], kind).tobytes())

        self._members.append(finish)
        return write

    def add_array(self, name: str, array: NDArray[Any]) -> None:
        """Add a whole array."""

        def finish(archive: zipfile.ZipFile) -> None:
            with _member(archive, name) as file:
                npy.write_array(file, array, allow_pickle=False)

        self._members.append(finish)

    def finish(self, path: str | os.PathLike[str]) -> None:
        """Write the file, with the arrays in the order in which they were added."""
        with zipfile.ZipFile(path, "x") as archive:
            for member in self._members:
                member(archive)

    def _spool(self) -> IO[bytes]:
        return self._stack.enter_context(tempfile.TemporaryFile(dir=self._folder))


@contextmanager
def create(path: str | os.PathLike[str]) -> Iterator[ArchiveWriter]:
    """Write an `.npz` that appears at `path` if the body succeeds. Raises OutputError."""
    with atomic.replace_file(path) as temporary, ExitStack() as stack:
        archive = ArchiveWriter(temporary.parent, stack)
        yield archive
        archive.finish(temporary)


def _member(
    archive: zipfile.ZipFile, name: str, compression: int = zipfile.ZIP_STORED
) -> IO[bytes]:
    # An explicit ZipInfo has a fixed date, so that the same run gives the same bytes.
    entry = zipfile.ZipInfo(f"{name}.npy")
    entry.compress_type = compression
    return archive.open(entry, "w", force_zip64=True)
