"""The protocol over HTTP: routes below `/v2`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from zoo.serving.kserve import bodies, coding
from zoo.serving.kserve.inference import InferRequest, Repository, Served
from zoo.serving.pool import BLOCK
from zoo.serving.route import while_connected

_MODEL = "/v2/models/{name}"
_VERSION = "/v2/models/{name}/versions/{version}"
INFER = (f"{_MODEL}/infer", f"{_VERSION}/infer")
ROUTES = (
    *("/v2", "/v2/health/live", "/v2/health/ready", "/v2/repository/index", "/v2/models/stats"),
    *(
        f"{prefix}{end}"
        for prefix in (_MODEL, _VERSION)
        for end in ("", "/ready", "/config", "/stats", "/infer")
    ),
)
OPEN = ("/v2/health/live", "/v2/health/ready")
"""Routes that need no key."""

_AT_ONCE = 2**18
"""Bytes from which on a body is compressed or inflated in a thread, beside the event loop."""

_T = TypeVar("_T")


def routes(repository: Repository) -> list[Route]:
    """Return the routes of all but `infer`."""

    def described(describe: Callable[[Served], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            return JSONResponse(describe(repository.find(**request.path_params)))

        return endpoint

    async def live(_: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(_: Request) -> Response:
        return JSONResponse({"ready": True})

    async def metadata(_: Request) -> Response:
        return JSONResponse(repository.metadata())

    async def all_statistics(_: Request) -> Response:
        return JSONResponse(repository.statistics())

    async def statistics(request: Request) -> Response:
        return JSONResponse(repository.statistics(**request.path_params))

    async def index(_: Request) -> Response:
        return JSONResponse(repository.index())

    listed = [
        Route("/v2", metadata),
        Route(OPEN[0], live),
        Route(OPEN[1], ready),
        Route("/v2/repository/index", index, methods=["POST"]),
        Route("/v2/models/stats", all_statistics),
    ]
    for prefix in (_MODEL, _VERSION):
        listed += [
            Route(prefix, described(Served.metadata)),
            Route(f"{prefix}/ready", described(_ready)),
            Route(f"{prefix}/config", described(Served.config)),
            Route(f"{prefix}/stats", statistics),
        ]
    return listed


def _ready(served: Served) -> dict[str, Any]:
    return {"name": served.model.name, "ready": True}


class Infer:
    """Endpoint of `infer`. most: bytes of the largest body when inflated."""

    def __init__(self, repository: Repository, most: int) -> None:
        self._repository = repository
        self._most = most

    async def __call__(self, request: Request, name: str) -> Response:
        """Answer a request. Raises RequestError, HTTPException, runtime.errors.Error."""
        if request.method != "POST":
            raise HTTPException(405, headers={"Allow": "POST"})
        parts = request.scope["path"].split("/")
        served = self._repository.find(name, parts[5] if len(parts) == 7 else "")
        headers = request.headers
        body = await request.body()
        encoding = headers.get("Content-Encoding")
        if encoding is not None:
            body = await _beside(len(body), coding.inflate, body, encoding, self._most)
        asked, binary = await _beside(
            len(body), bodies.read_request, body, headers.get(bodies.HEADER)
        )
        work = self._respond(served, asked, binary, headers.get("Accept-Encoding"))
        return await (work if asked.rows <= BLOCK else while_connected(request, work))

    async def _respond(
        self, served: Served, asked: InferRequest, binary: bool, accepted: str | None
    ) -> Response:
        output = await served.infer(asked, self._repository.seconds)
        content, length = await _beside(
            output.nbytes, bodies.write_answer, served, asked, output, binary
        )
        headers = {"Cache-Control": "no-store"}
        if length is not None:
            headers[bodies.HEADER] = str(length)
        if accepted is not None and len(content) >= coding.SMALLEST:
            headers["Vary"] = "Accept-Encoding"
            chosen = coding.choose(accepted)
            if chosen is not None:
                content = await _beside(len(content), coding.deflate, content, chosen)
                headers["Content-Encoding"] = chosen
        media = "application/json" if length is None else "application/octet-stream"
        return Response(content, media_type=media, headers=headers)


async def _beside(size: int, function: Callable[..., _T], *values: Any) -> _T:
    """Call a function, in a thread if it works on many bytes."""
    if size < _AT_ONCE:
        return function(*values)
    return await asyncio.to_thread(function, *values)
