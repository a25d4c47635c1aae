"""`/`: the page, which asks the routes of models for images."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from zoo.web import INDEX, ISOLATION, PAGE

ROUTE = "/"
"""What metrics call the page's files."""

HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"cache-control", b"no-cache"),
    *((name.lower().encode(), value.encode()) for name, value in ISOLATION.items()),
]
"""Headers of the page's files, in the place of those that forbid everything."""

_FILES = "/page"


def is_page(path: str) -> bool:
    """Return True for the paths of the page's files, which hold no secrets and need no key."""
    return path == ROUTE or path.startswith(f"{_FILES}/")


def add_page(app: Starlette) -> None:
    """Add the page's files to an application, not to its document."""

    async def show(_: Request) -> Response:
        return FileResponse(INDEX)

    app.add_route(ROUTE, show, include_in_schema=False)
    app.mount(_FILES, StaticFiles(directory=PAGE))
