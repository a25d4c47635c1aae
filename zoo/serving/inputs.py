"""Parameters with latents, points and pictures."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError
from zoo.images import arrays
from zoo.serving.parameters import Parameter, show

Latents = NDArray[np.float32]
GivenPoint = str | Latents
"""`seed:K` or `sample:I`, as in zoo.applications.points, or a latent [D]."""

MOST_POINTS = 1024

_SAMPLE = re.compile(r"(seed|sample):[0-9]{1,20}")
_DATA_URL = re.compile(r"data:image/[a-z.+-]{1,20};base64,")

_LATENT = {"type": "array", "minItems": 1, "items": {"type": "number"}}
_POINT = {"oneOf": [{"type": "string", "pattern": f"^{_SAMPLE.pattern}$"}, _LATENT]}
_PICTURE = {"type": "string", "contentEncoding": "base64", "minLength": 1}


def latents(name: str, description: str) -> Parameter:
    """Return the parameter of latents float32 [n, D]."""
    schema = {"oneOf": [_LATENT, {"type": "array", "minItems": 1, "items": _LATENT}]}
    query = {"type": "string", "pattern": "^[-+0-9.,;eE]+$"}
    return Parameter(name, parse_latents, schema, description, required=True, query=query)


def parse_latents(value: Any) -> Latents:
    """Parse latents [n, D]: numbers of JSON, a text `1,0.5;0,-1`, or the bytes of an `.npy`."""
    if isinstance(value, bytes):
        try:
            array = arrays.read_npy(value, "the body")
        except DataError as error:
            raise ValueError(str(error)) from None
    else:
        try:
            rows = _split(value) if isinstance(value, str) else value
            array = np.asarray(rows)
        except (ValueError, OverflowError):
            raise ValueError(f"expected rows of numbers, all as long, got {show(value)}") from None
    array = array[None] if array.ndim == 1 else array
    if array.ndim != 2 or array.dtype.kind not in "fiu" or not array.size:
        got = f"{array.dtype} {list(array.shape)}" if isinstance(value, bytes) else show(value)
        raise ValueError(f"expected a latent, or rows of latents, got {got}")
    with np.errstate(over="ignore"):
        rows = array.astype(np.float32)
    if not np.isfinite(rows).all():
        raise ValueError("expected finite numbers of 32 bits")
    return np.ascontiguousarray(rows)


def _split(text: str) -> list[list[float]]:
    return [[float(number) for number in row.split(",")] for row in text.split(";")]


def points(name: str, description: str, required: bool = False) -> Parameter:
    """Return the parameter of points of the latent space; their default is []."""
    schema = {"type": "array", "minItems": 1, "maxItems": MOST_POINTS, "items": _POINT}
    query = {"type": "string", "minLength": 1}
    return Parameter(name, _parse_points, schema, description, [], required, query)


def _parse_points(value: Any) -> list[GivenPoint]:
    values = value
    if isinstance(value, str):
        values = []
        for part in value.split(";"):
            values += part.split(",") if part[:1].isalpha() else [part]
    if not isinstance(values, list) or not 1 <= len(values) <= MOST_POINTS:
        raise ValueError(f"expected a list of 1 to {MOST_POINTS} points, got {show(value)}")
    return [_parse_point(each) for each in values]


def _parse_point(value: Any) -> GivenPoint:
    if isinstance(value, str) and (_SAMPLE.fullmatch(value) or value[:1].isalpha()):
        if not _SAMPLE.fullmatch(value):
            raise ValueError(f"expected seed:K, sample:I or a latent, got {show(value)}")
        return value
    rows = parse_latents(value) if isinstance(value, (str, list)) else np.empty((0, 0))
    if len(rows) != 1:
        raise ValueError(f"expected seed:K, sample:I or a latent, got {show(value)}")
    return rows[0]


def pictures(name: str, description: str, required: bool = False) -> Parameter:
    """Return the parameter of pictures, as the bytes of their files; their default is []."""
    schema = {"oneOf": [_PICTURE, {"type": "array", "minItems": 1, "items": _PICTURE}]}
    return Parameter(name, _parse_pictures, schema, description, [], required, binary=True)


def _parse_pictures(value: Any) -> list[bytes]:
    """Parse files of pictures: bytes, or a text in base64, or a list of them."""
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError("expected pictures, got none")
    files = [each if isinstance(each, bytes) else _decode(each) for each in values]
    if not all(files):
        raise ValueError("expected a picture, got no bytes")
    return files


def _decode(value: Any) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"expected a picture in base64, got {show(value)}")
    match = _DATA_URL.match(value[:60])
    try:
        return base64.b64decode(value[match.end() if match else 0 :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"expected a picture in base64: {error}") from None


def parse_amounts(value: Any) -> list[str]:
    """Parse amounts of attributes, {"Smiling": 1.5} or `Smiling=1.5,Male=-1`, to NAME=α each."""
    if isinstance(value, dict):
        for amount in value.values():
            if not isinstance(amount, (int, float)) or isinstance(amount, bool):
                raise ValueError(f"expected a number for each attribute, got {show(value)}")
        return [f"{attribute}={amount}" for attribute, amount in value.items()]
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected attributes as in Smiling=1.5, got {show(value)}")
    return value.split(",")
