"""The application: routes, errors, limits, and what every answer has."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import runtime
from runtime.errors import BusyError, DeadlineError
from zoo.serving import openapi, page
from zoo.serving.errors import EXPECTED, Explainer
from zoo.serving.kserve import rest
from zoo.serving.kserve.inference import Repository
from zoo.serving.limits import SMALL_BODY, Limits
from zoo.serving.metrics import Metrics
from zoo.serving.models import Model
from zoo.serving.parameters import RequestError
from zoo.serving.route import ModelEndpoint
from zoo.serving.routes import ROUTES, routes_of

_OTHER_ROUTES = ("/v1/models", "/v1/models/{name}", "/healthz", "/readyz", "/metrics")
_NAMES = frozenset((*_OTHER_ROUTES, *(route.path for route in ROUTES), *rest.ROUTES))

_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_PAGE_HEADERS = [*{**dict(_HEADERS), **dict(page.HEADERS)}.items()]


def make_app(
    models: Mapping[str, Model], limits: Limits, grpc_address: str | None = None
) -> FastAPI:
    """Make the application of these models; it closes them when it is shut down.

    grpc_address: where gRPC is served too, by `app.state.rpc`, which must be started before the
    application, and is stopped with it.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        if app.state.rpc is not None:
            await app.state.rpc.stop()
        for model in models.values():
            await model.close()

    app = FastAPI(
        title="generator-zoo",
        version=runtime.__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    metrics = Metrics(models)
    repository = Repository(models, limits.images, limits.seconds)
    explain = Explainer(file for model in models.values() for file in model.files)
    app.state.rpc = None
    if grpc_address is not None:
        from zoo.serving.kserve.rpc_server import RpcServer

        app.state.rpc = RpcServer(
            grpc_address, repository, explain, limits.body, limits.key, metrics
        )
    app.router.routes.extend(rest.routes(repository))

    @app.get("/v1/models")
    async def list_models() -> dict[str, Any]:
        """Describe all models."""
        return {"models": [_describe(model) for model in models.values()]}

    @app.get("/v1/models/{name}")
    async def describe_model(name: str) -> dict[str, Any]:
        """Describe a model, with the manifest of its file."""
        if name not in models:
            raise RequestError(f"no model {name!r}", 404)
        return {**_describe(models[name]), "manifest": models[name].manifest}

    @app.get("/healthz")
    async def check_health() -> dict[str, str]:
        """Answer while the process lives."""
        return {"status": "alive"}

    @app.get("/readyz")
    async def check_readiness() -> dict[str, str]:
        """Answer while requests are accepted."""
        return {"status": "ready"}

    @app.get("/metrics", response_class=PlainTextResponse)
    async def show_metrics() -> Response:
        """Return the metrics in the text format of Prometheus."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    app.openapi = lambda: openapi.describe(app, models, limits)
    for kind in EXPECTED:
        app.add_exception_handler(kind, partial(answer_error, explain))
    endpoints: dict[str, Endpoint] = {
        **{route.path: ModelEndpoint(route, models, limits, routes_of) for route in ROUTES},
        **dict.fromkeys(rest.INFER, rest.Infer(repository, limits.body)),
    }
    bodies = {
        **{route.path: route.largest_body(limits) for route in ROUTES},
        **dict.fromkeys(rest.INFER, limits.body),
    }
    page.add_page(app)
    app.add_middleware(
        Gate,
        key=limits.key,
        metrics=metrics,
        explain=explain,
        endpoints=endpoints,
        bodies=bodies,
    )
    return app


def _describe(model: Model) -> dict[str, Any]:
    return {**model.describe(), "routes": routes_of(model)}


async def answer_error(explain: Explainer, _: Request, error: Exception) -> Response:
    """Return every error as `{"error": …}`."""
    status, detail = explain(error)
    headers: dict[str, str] = {}
    if isinstance(error, HTTPException):
        headers = dict(error.headers or {})
    elif isinstance(error, (BusyError, DeadlineError)):
        headers = {"Retry-After": "1"}
    return JSONResponse({"error": detail}, status, {**headers, "Cache-Control": "no-store"})


Endpoint = Callable[[Request, str], Awaitable[Response]]
"""Answers a request for what a model computes; raises the errors of `answer_error`."""


class Gate:
    """What all requests pass: the key, the limit of the body, metrics, and headers of answers.

    endpoints: those of `/v1/models/{name}/…` and `/v2/models/{name}/…` by route. They are called
    from here, since the routing and the checks of FastAPI take as long as an image. bodies: by
    route, bytes of the largest body, where it is not SMALL_BODY.
    """

    def __init__(
        self,
        app: ASGIApp,
        key: str | None,
        metrics: Metrics,
        explain: Explainer,
        endpoints: Mapping[str, Endpoint],
        bodies: Mapping[str, int],
    ) -> None:
        self._app, self._metrics, self._endpoints, self._bodies = app, metrics, endpoints, bodies
        self._explain = explain
        self._key = None if key is None else key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, route = time.perf_counter(), 500, _route(scope["path"])

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                more = _PAGE_HEADERS if page.is_page(scope["path"]) else _HEADERS
                message["headers"] = [*message.get("headers", ()), *more]
            await send(message)

        try:
            most = self._bodies.get(route, SMALL_BODY)
            refusal = self._refusal(scope, most)
            if refusal is not None:
                await refusal(scope, receive, answer)
                return
            endpoint, receive = self._endpoints.get(route), _limited(receive, most)
            if endpoint is None:
                await self._app(scope, receive, answer)
            else:
                response = await _call(endpoint, Request(scope, receive), self._explain)
                await response(scope, receive, answer)
        finally:
            self._metrics.count(route, status, time.perf_counter() - began)

    def _refusal(self, scope: Scope, most: int) -> Response | None:
        headers = dict(scope["headers"])
        open_to_all = scope["path"] in ("/healthz", "/readyz", *rest.OPEN)
        if self._key is not None and not (open_to_all or page.is_page(scope["path"])):
            given = headers.get(b"authorization", b"").removeprefix(b"Bearer ")
            if not hmac.compare_digest(given, self._key):
                return _refuse("expected the header Authorization: Bearer KEY", 401)
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > most:
            return _refuse(f"the body: expected at most {most} bytes", 413)
        return None


def _limited(receive: Receive, most: int) -> Receive:
    """Return a body that ends with an error beyond the limit, whatever its headers say."""
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > most:
            raise RequestError(f"the body: expected at most {most} bytes", 413)
        return message

    return limited


async def _call(endpoint: Endpoint, request: Request, explain: Explainer) -> Response:
    """Call the endpoint of a model, and turn its errors into answers."""
    try:
        return await endpoint(request, request.scope["path"].split("/")[3])
    except ClientDisconnect:
        return Response(status_code=499)
    except Exception as error:
        if not isinstance(error, EXPECTED):
            logging.getLogger("uvicorn.error").exception("an endpoint has failed")
        return await answer_error(explain, request, error)


def _route(path: str) -> str:
    """Return what the metrics call the route of a path: a few names, whatever clients ask for."""
    if page.is_page(path):
        return page.ROUTE
    if path in _NAMES:
        return path
    parts = path.split("/")
    if path.startswith(("/v1/models/", "/v2/models/")):
        parts[3] = "{name}"
        if len(parts) > 5 and parts[4] == "versions":
            parts[5] = "{version}"
        route = "/".join(parts)
        return route if route in _NAMES else "other"
    return "other"


def _refuse(error: str, status: int) -> Response:
    headers = {"Cache-Control": "no-store"}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": error}, status, headers)
