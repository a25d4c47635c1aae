"""Values of requests: in the query, and in bodies of JSON, pictures, arrays or several parts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from contextlib import aclosing
from typing import Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from zoo.images.arrays import NPY
from zoo.serving.parameters import RequestError, Values, show

JSON, ARRAY, PARTS = "application/json", "application/x-npy", "multipart/form-data"
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/bmp")

MOST_PARTS = 1024
"""Parts of a multipart body, of which each is a picture or a parameter."""

_QUICK = 2**16
"""Bytes of JSON that are parsed at once; longer ones in another thread."""


class _Parser(MultiPartParser):  # type: ignore[misc, unused-ignore]
    """Parser that keeps all parts in memory: the size of the whole body is limited."""

    spool_max_size = 0


async def read_values(request: Request, pictures: bool = False, array: str | None = None) -> Values:
    """Return the query's parameters, and those of the body of a POST.

    pictures: the route takes pictures, as `images`; array: name of the parameter that a body of an
    `.npy` file is. Raises RequestError.
    """
    values = merge({}, request.query_params.multi_items())
    if request.method != "POST":
        return values
    kind = request.headers.get("Content-Type", JSON).partition(";")[0].strip().lower()
    if kind == PARTS and (pictures or array):
        return merge(values, await _read_parts(request))
    body = await request.body()
    if not body:
        return values
    if kind in (ARRAY, *PICTURES) and (kind == ARRAY) != body.startswith(NPY):
        raise RequestError(f"the body is no file of the type {kind}")
    if kind == JSON:
        return merge(values, (await _read_json(body)).items())
    if kind == ARRAY and array:
        return merge(values, [(array, [body] if array == "images" else body)])
    if kind in PICTURES and pictures:
        return merge(values, [("images", [body])])
    known = [JSON, *(PICTURES if pictures else ()), *([ARRAY] if array else ())]
    known += [PARTS] if pictures or array else []
    raise RequestError(f"expected a body of {', '.join(known)}; got {show(kind)}", 415)


def merge(values: Values, items: Iterable[tuple[str, Any]]) -> Values:
    """Return the values with others. Raises RequestError for a name that occurs twice."""
    for name, value in items:
        if name in values:
            raise RequestError(f"{show(name)}: expected one value, got several")
        values[name] = value
    return values


async def _read_json(body: bytes) -> dict[str, Any]:
    parse = json.loads
    try:
        document = parse(body) if len(body) < _QUICK else await asyncio.to_thread(parse, body)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise RequestError("the body: expected an object of JSON")
    return document


async def _read_parts(request: Request) -> list[tuple[str, Any]]:
    """Return the parameters of a multipart body; several files of one name are a list."""
    items: list[tuple[str, Any]] = []
    files: dict[str, list[bytes]] = {}
    try:
        async with aclosing(request.stream()) as stream:
            most = {"max_files": MOST_PARTS, "max_fields": MOST_PARTS}
            form = await _Parser(request.headers, stream, **most).parse()
    except MultiPartException as error:
        raise RequestError(f"the body: {error.message}") from None
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            files.setdefault(name, []).append(value.file.read())
        else:
            items.append((name, value))
    return [*items, *((name, each if len(each) > 1 else each[0]) for name, each in files.items())]
