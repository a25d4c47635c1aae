"""Helpers for reading files that may be missing or damaged."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import DataError, ZooError


@contextmanager
def data_errors(path: Path, what: str = "") -> Iterator[None]:
    """Turn any exception of the body into a DataError that names `what` and `path`.

    The body should do nothing but read: for damaged files NumPy, Pillow and decompressors may
    raise any exception, including EOFError and MemoryError.
    """
    try:
        yield
    except ZooError:
        raise
    except Exception as error:
        raise DataError(f"cannot read {what}{' ' * bool(what)}{path}: {_reason(error)}") from error


def check_regular(path: Path) -> None:
    """Raise OSError if there is nothing at `path`, DataError if it is not a regular file.

    Opening a pipe would block until something writes to it.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise DataError(f"{path} is not a file")


def sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "not enough memory"
    return " ".join(str(error).split()) or type(error).__name__
