"""Standard streams that a command can rely on, however it was started."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import Any

_ESCAPES = "zoo.console"


def prepare() -> None:
    """Make the standard streams of this process usable, once and for all.

    - A stream that was closed (`2>&-`) leads to the null device: else the next file that is opened
      takes its number, and gets what libraries print.
    - A character that the console's encoding has not is written as an escape, and a file name that
      is not text as the bytes that it has.
    - What cannot be written to stderr (the terminal is gone, the disk is full) is lost: no result
      depends on it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    codecs.register_error(_ESCAPES, _escaped)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPES)
    if isinstance(sys.stderr, io.TextIOWrapper) and sys.stderr is sys.__stderr__:
        sys.stderr = _forgiving(sys.stderr)


def rewrites_lines(stream: Any) -> bool:
    """Whether a stream is a terminal that obeys escape sequences."""
    return bool(stream.isatty()) and os.environ.get("TERM", "dumb") not in ("", "dumb")


class _Forgiving(io.FileIO):
    """A file that takes what cannot be written to it."""

    def write(self, data: Any, /) -> int:
        try:
            written: int | None = super().write(data)
        except OSError:
            written = None
        return memoryview(data).nbytes if written is None else written


def _forgiving(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    raw = _Forgiving(stream.fileno(), "wb", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=True
    )


def _escaped(error: UnicodeError) -> tuple[str | bytes, int]:
    """The error handler of the streams: see `prepare`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":
        return character.encode("ascii", "surrogateescape"), error.start + 1
    return character.encode("ascii", "backslashreplace"), error.start + 1


__all__ = ["prepare", "rewrites_lines"]
