"""The page of a service: its files, and the headers that let a browser run nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from zoo.serving.app import make_app
from zoo.serving.limits import Limits
from zoo.serving.models import BatchOptions, load
from zoo.web import INDEX, PAGE


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    models = load(["linear-ae"], {"instances": 1}, BatchOptions())
    with TestClient(make_app(models, Limits(key="secret"))) as client:
        yield client


def policy(answer: httpx.Response) -> dict[str, str]:
    parts = [
        part.split(maxsplit=1) for part in answer.headers["content-security-policy"].split(";")
    ]
    return {name: value for name, value in parts}


FILES = {"/": INDEX, **{f"/page/{path.name}": path for path in sorted(PAGE.iterdir())}}


@pytest.mark.parametrize("path", FILES)
def test_files_of_the_page_need_no_key(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200 and answer.content == FILES[path].read_bytes()
    kinds = {".html": "text/html", ".css": "text/css", ".svg": "image/svg+xml"}
    assert answer.headers["content-type"].partition(";")[0] in (
        kinds.get(FILES[path].suffix, "text/javascript"),
        "application/javascript",
    )
    assert policy(answer)["default-src"] == "'none'" and policy(answer)["script-src"] == "'self'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"
    # The page is isolated from others: it may share memory between threads.
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-embedder-policy"] == "require-corp"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert client.head(path).status_code == 200


def test_other_answers_allow_nothing_and_need_the_key(client: TestClient) -> None:
    assert client.get("/v1/models").status_code == 401
    answer = client.get("/v1/models", headers={"Authorization": "Bearer secret"})
    assert answer.status_code == 200
    assert policy(answer) == {"default-src": "'none'", "frame-ancestors": "'none'"}
    document = client.get("/openapi.json", headers={"Authorization": "Bearer secret"}).json()
    assert not {path for path in document["paths"] if "page" in path or path == "/"}


@pytest.mark.parametrize("name", ["no.js", "../index.html", "%2e%2e/site.py", "..%2f..%2fcli.py"])
def test_files_that_are_not_the_page(client: TestClient, name: str) -> None:
    answer = client.get(f"/page/{name}")
    assert answer.status_code in (401, 404) and "error" in answer.json()


def test_the_page_names_its_own_files_only() -> None:
    text = INDEX.read_text("utf-8")
    named = [part.split('"')[0] for part in text.replace('src="', 'href="').split('href="')[1:]]
    files = [name for name in named if not name.startswith("#")]
    assert files and all((Path(INDEX).parent / name).is_file() for name in files)
