"""Errors of requests, as their clients are told of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from starlette.exceptions import HTTPException

from runtime.errors import ArgumentError, BusyError, ClosedError, DeadlineError, Error
from zoo.errors import ZooError
from zoo.serving.parameters import RequestError

EXPECTED = (ZooError, Error, HTTPException, MemoryError)
"""Errors that say something to clients; any other is a bug."""

_STATUS = (
    (ArgumentError, 400),
    (ZooError, 400),
    (BusyError, 429),
    (DeadlineError, 503),
    (ClosedError, 503),
)

_OPTION = re.compile(r"--(?=[a-z])")


class Explainer:
    """Explains errors to clients, who must not learn the folders of the engines.

    Errors of the runtime and of its backends name an engine's file by its path; clients are told
    its name. files: the engines' paths.
    """

    def __init__(self, files: Iterable[str | Path]) -> None:
        written = {path for file in map(Path, files) for path in (file, file.absolute())}
        folders = {path.parent for path in (*written, *(path.resolve() for path in written))}
        folders = {path for path in folders if path.name}
        # The longest first: a folder may be in another.
        names = sorted((re.escape(str(path)) for path in folders), key=len, reverse=True)
        self._folders = re.compile(rf"(?<![\w./~-])(?:{'|'.join(names)})/") if names else None

    def __call__(self, error: Exception) -> tuple[int, str]:
        """Return the HTTP status of an error and what to say of it."""
        status, text = _explain(error)
        return status, text if self._folders is None else self._folders.sub("", text)


def _explain(error: Exception) -> tuple[int, str]:
    if isinstance(error, HTTPException):
        return error.status_code, error.detail
    if isinstance(error, RequestError):
        return error.status, str(error)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    if not isinstance(error, EXPECTED):
        return status, "an error of the service"
    # What commands call --resize is the parameter resize here.
    return status, _OPTION.sub("", str(error))
