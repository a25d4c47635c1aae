"""Limits of a service."""

from __future__ import annotations

from dataclasses import dataclass

SMALL_BODY = 2**20
"""Bytes of the largest request of a route that takes neither pictures nor arrays."""


@dataclass(frozen=True)
class Limits:
    """Limits of a service.

    images: of the largest answer; body: bytes of the largest request with pictures or arrays, other
    requests have at most SMALL_BODY; seconds: after which a request that has not begun is given up
    (None: never); key: what clients must send.
    """

    images: int = 65536
    body: int = 2**24
    seconds: float | None = 30.0
    key: str | None = None
