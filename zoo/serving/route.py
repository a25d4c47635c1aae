"""A route of models, and the endpoint that answers its requests."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from zoo.images import png
from zoo.serving import answers, bodies
from zoo.serving.answers import Answer, Format, Streamed
from zoo.serving.limits import SMALL_BODY, Limits
from zoo.serving.models import Model
from zoo.serving.parameters import Parameter, RequestError, Values, choice, read_all

FOREVER = "public, max-age=31536000, immutable"

_QUICK = 2**18
"""Bytes of images that are encoded at once; more are encoded in another thread."""

_JSON = json.JSONEncoder(default=lambda array: array.tolist())

_LISTED = {
    "png": "png (one image)",
    "grid": "grid (a PNG of all, labelled if the command labels them)",
    "multipart": "multipart (a PNG of each)",
}


@dataclass(frozen=True)
class Route:
    """`/v1/models/{name}/NAME`.

    parameters: given the most images of an answer; serves: True for the models that have it;
    answer: starts to compute, and raises the errors that `zoo.serving.app.answer_error` knows;
    array: the parameter that a body of an `.npy` file is; draws: the service draws a seed if there
    is none; watched: True if work is given up when the client goes away before it begins to answer,
    which is not worth its price for what takes no longer than an image.
    """

    name: str
    summary: str
    parameters: Callable[[int], tuple[Parameter, ...]]
    serves: Callable[[Model], bool]
    answer: Callable[[Any, Values, Limits], Awaitable[Answer]]
    array: str | None = None
    formats: Mapping[str, Format | Streamed] = field(default_factory=lambda: answers.IMAGES)
    draws: bool = False
    watched: Callable[[Values], bool] = lambda values: True

    @property
    def path(self) -> str:
        """The path, with {name} for that of the model."""
        return f"/v1/models/{{name}}/{self.name}"

    @property
    def pictures(self) -> tuple[str, ...]:
        """Names of the parameters that are pictures, in the body."""
        return tuple(each.name for each in self.parameters(1) if each.binary)

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods of HTTP: without GET where pictures are required."""
        required = any(each.binary and each.required for each in self.parameters(1))
        return ("POST",) if required else ("GET", "HEAD", "POST")

    def largest_body(self, limits: Limits) -> int:
        """Return the bytes of the largest body."""
        return limits.body if self.pictures or self.array else SMALL_BODY

    def all_parameters(self, most: int) -> tuple[Parameter, ...]:
        """Return the parameters, with that of the format."""
        names = tuple(self.formats)
        listed = ", ".join(_LISTED.get(name, name) for name in names)
        default = "png or grid" if "grid" in names else names[0]
        return (*self.parameters(most), choice("format", names, f"{listed}; by default {default}."))


class ModelEndpoint:
    """Endpoint of a route: finds the model, reads the values, and answers in the format.

    routes_of: names of the routes of a model.
    """

    def __init__(
        self,
        route: Route,
        models: Mapping[str, Model],
        limits: Limits,
        routes_of: Callable[[Model], list[str]],
    ) -> None:
        self._route, self._models, self._limits = route, models, limits
        self._routes_of = routes_of
        self._served = {name: model for name, model in models.items() if route.serves(model)}
        self._parameters = route.all_parameters(limits.images)
        self._methods, self._pictures = route.methods, route.pictures

    async def __call__(self, request: Request, name: str) -> Response:
        """Answer a request. Raises HTTPException, RequestError, and as the route's `answer`."""
        route = self._route
        if request.method not in self._methods:
            raise HTTPException(405, headers={"Allow": ", ".join(self._methods)})
        model = self._served.get(name)
        if model is None:
            raise self._missing(name)
        for each in self._pictures:
            if each in request.query_params:
                raise RequestError(f"{each}: expected in the body of a POST, not in the query")
        given = await bodies.read_values(request, bool(self._pictures), route.array)
        values = read_all(self._parameters, given)
        headers = {"Cache-Control": "no-store"}
        drawn = route.draws and values["seed"] is None
        if drawn:
            values["seed"] = secrets.randbits(64)
        if request.method != "POST" and not drawn:
            headers = {"ETag": _tag(model, route, values), "Cache-Control": FOREVER}
            if headers["ETag"] in request.headers.get("If-None-Match", ""):
                return Response(status_code=304, headers=headers)
        work = self._respond(model, values, headers)
        return await (while_connected(request, work) if route.watched(values) else work)

    def _missing(self, name: str) -> RequestError:
        if name not in self._models:
            return RequestError(f"no model {name!r}", 404)
        known = ", ".join(self._routes_of(self._models[name]))
        only = f"only {known}" if known else "none below /v1"
        return RequestError(f"{name} has no route {self._route.name}, {only}", 404)

    async def _respond(self, model: Model, values: Values, headers: dict[str, str]) -> Response:
        answer = await self._route.answer(model, values, self._limits)
        count = answer.shape[0]
        formats = self._route.formats
        default = "grid" if "grid" in formats and count > 1 else next(iter(formats))
        format = formats[values["format"] or default]
        headers |= {"X-Zoo-Shape": ",".join(map(str, answer.shape)), **answer.headers}
        if isinstance(format, Streamed):
            return await _stream(answer, format, headers)
        format.check(count)
        picture = answer.picture if format is formats.get("grid") else None
        if picture is not None:
            picture.check()
        async with aclosing(answer.blocks) as blocks:
            parts = [block async for block in blocks]
        rows = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if picture is not None:
            content = await _encode(png.encode, np.atleast_3d(np.asarray(await picture.draw(rows))))
        else:
            content = await _encode(format.encode, rows)
        return Response(content, media_type=format.media, headers=headers)


async def _stream(answer: Answer, format: Streamed, headers: dict[str, str]) -> Response:
    """Answer with rows while they are computed."""
    blocks, count = answer.blocks, answer.shape[0]
    start = format.start(answer)

    async def encode(rows: NDArray[Any], first: int) -> bytes:
        if format.sized:
            return format.block(answer, rows, first)
        return await _encode(lambda rows: format.block(answer, rows, first), rows)

    # An error in the first block is an answer of its own.
    rows = await anext(blocks)
    content = start + await encode(rows, 0)
    done = len(rows)
    if done == count:
        await blocks.aclose()
        return Response(content + format.end, media_type=format.media, headers=headers)

    async def body() -> AsyncIterator[bytes]:
        nonlocal done
        async with aclosing(blocks):
            yield content
            async for more in blocks:
                yield await encode(more, done)
                done += len(more)
            yield format.end

    if format.sized:
        row_bytes = rows.nbytes // len(rows)
        headers["Content-Length"] = str(len(start) + count * row_bytes)
    return StreamingResponse(body(), media_type=format.media, headers=headers)


async def _encode(encode: Callable[[NDArray[Any]], bytes], rows: NDArray[Any]) -> bytes:
    return encode(rows) if rows.nbytes < _QUICK else await asyncio.to_thread(encode, rows)


def _tag(model: Model, route: Route, values: Values) -> str:
    """Return the entity tag: answers are a function of the model and the values alone."""
    parts = [model.identity, route.name, png.COMPRESSOR, *(values[name] for name in sorted(values))]
    return f'"{hashlib.sha256(_JSON.encode(parts).encode()).hexdigest()[:32]}"'


async def while_connected(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """Return the response of `work`, which is cancelled when the client goes away.

    The body of the request must have been read. Raises as `work`.
    """
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_wait_for_end(request))
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        watch.result()
        return Response(status_code=499)
    finally:
        task.cancel()
        watch.cancel()


async def _wait_for_end(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
