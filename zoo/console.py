"""Robust standard streams for commands, however they were started."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import Any

_ESCAPES = "zoo.console"


def prepare_streams() -> None:
    """Make the standard streams of this process usable.

    - A closed stream (`2>&-`) is replaced by the null device. Otherwise the next opened file would
      get its number, and receive what libraries print.
    - Characters that the console's encoding lacks are escaped, and undecodable file names are
      written as their original bytes.
    - Errors of writing to stderr (closed terminal, full disk) are ignored.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # os.open returns the lowest free number, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    codecs.register_error(_ESCAPES, _escape)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPES)
    if isinstance(sys.stderr, io.TextIOWrapper) and sys.stderr is sys.__stderr__:
        sys.stderr = _ignore_errors(sys.stderr)


def is_terminal(stream: Any) -> bool:
    """Return True if a stream is a terminal that supports escape sequences."""
    return bool(stream.isatty()) and os.environ.get("TERM", "dumb") not in ("", "dumb")


class _LossyFile(io.FileIO):
    """File that discards data that cannot be written."""

    def write(self, data: Any, /) -> int:
        try:
            written: int | None = super().write(data)
        except OSError:
            written = None
        return memoryview(data).nbytes if written is None else written


def _ignore_errors(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    raw = _LossyFile(stream.fileno(), "wb", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=True
    )


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    """Handle an encoding error as `prepare_streams` describes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":
        return character.encode("ascii", "surrogateescape"), error.start + 1
    return character.encode("ascii", "backslashreplace"), error.start + 1
