"""Errors of requests, as their clients are told of them."""

from __future__ import annotations

import re

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


def explain(error: Exception) -> tuple[int, str]:
    """Return the HTTP status of an error and what to say of it."""
    if isinstance(error, HTTPException):
        return error.status_code, error.detail
    if isinstance(error, RequestError):
        return error.status, str(error)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    if not isinstance(error, EXPECTED):
        return status, "an error of the service"
    # What commands call --resize is the parameter resize here.
    return status, _OPTION.sub("", str(error))
