"""Files that may be missing or damaged: whatever a library raises for one becomes a DataError."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import DataError, ZooError


@contextmanager
def readable(path: Path, what: str = "") -> Iterator[None]:
    """Whatever the body raises because of the file at `path`, as a DataError that names it.

    `what` the file should be stands before its name. The body should do nothing but read: what
    NumPy, Pillow and the decompressors raise for damaged files is any kind of Exception, EOFError
    and MemoryError included, and cannot be listed.
    """
    try:
        yield
    except ZooError:
        raise
    except Exception as error:
        raise DataError(f"cannot read {what}{' ' * bool(what)}{path}: {_reason(error)}") from error


def check_regular(path: Path) -> None:
    """Raise OSError where there is nothing at `path`, DataError for what is no file.

    Opening a pipe would wait for whoever writes to it.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise DataError(f"{path} is not a file")


def sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    return " ".join(str(error).split()) or type(error).__name__


__all__ = ["check_regular", "readable", "sha256"]
