"""Compressed bodies: what clients send, up to a limit, and what they accept."""

from __future__ import annotations

import re
import zlib

from zoo.images.png import fast_zlib
from zoo.serving.parameters import RequestError

_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""Window bits of zlib: of the format gzip, or zlib's own, which HTTP calls deflate."""

SMALLEST = 1024
"""Bytes of the smallest body that is compressed."""


def inflate(body: bytes, coding: str, limit: int) -> bytes:
    """Return the content of a body with this Content-Encoding.

    Raises RequestError: 413 for more than `limit` bytes, 415 for an unknown coding, 400.
    """
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return body
    if coding not in _WINDOWS:
        raise RequestError(f"Content-Encoding: expected gzip or deflate, got {coding[:60]}", 415)
    decoder = zlib.decompressobj(_WINDOWS[coding])
    try:
        content = decoder.decompress(body, limit + 1)
    except zlib.error as error:
        raise RequestError(f"the body is not of {coding}: {error}") from None
    if len(content) > limit:
        raise RequestError(f"the body: expected at most {limit} bytes when inflated", 413)
    if not decoder.eof or decoder.unused_data:
        raise RequestError(f"the body: expected one whole stream of {coding}")
    return content


def choose(accepted: str) -> str | None:
    """Return the coding of an answer by the client's Accept-Encoding, or None."""
    for coding in ("gzip", "deflate"):
        for part in accepted.lower().split(","):
            name, _, weight = part.partition(";")
            if name.strip() == coding and not re.fullmatch(r"\s*q=0(\.0*)?\s*", weight):
                return coding
    return None


def deflate(content: bytes, coding: str) -> bytes:
    """Return the compressed content."""
    compressed: bytes = fast_zlib.compress(content, 1, _WINDOWS[coding])
    return compressed
