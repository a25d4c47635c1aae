"""A browser, and the page in both of its modes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from zoo.web.site import write_site

ENGINES = (
    "vae",
    "vae-faces",
    "gan",
    "cgan",
    "stylegan",
    "stargan",
    "inpainting-ae",
    "denoising-ae",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.fail("these tests need Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


PATIENCE = 600
"""Seconds after which a test's browser is ended."""


@contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """End the browsers of this process after so many seconds, and fail with what they did in them.

    Playwright waits without a limit for scripts and for the mouse, in a browser that gets no
    processor, or that waits itself. Browsers are sessions of their own, which do not inherit the
    priority of the tests' session.
    """
    said: list[str] = []

    def end() -> None:
        children = psutil.Process().children(recursive=True)
        browsers = [each for each in children if "chrom" in each.name()]
        used = sum(sum(each.cpu_times()[:2]) for each in browsers)
        load = os.getloadavg()[0]
        said.append(
            f"the browser has not answered for {seconds:g} s, and has computed for {used:.0f} s "
            f"since it began; {load:.1f} processes want {os.cpu_count()} cores"
        )
        for each in browsers:
            with suppress(psutil.NoSuchProcess):
                each.kill()

    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if said:
            pytest.fail(said[0])


@pytest.fixture(autouse=True)
def _limit(request: pytest.FixtureRequest) -> Iterator[None]:
    if "browser" not in request.fixturenames:
        yield
        return
    with ended_after(PATIENCE):
        yield


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


class _Configured(_Quiet):
    """Obeys the file `_headers`: a line `/*`, and below it the headers of all files."""

    def end_headers(self) -> None:
        lines = (Path(self.directory) / "_headers").read_text("utf-8").splitlines()
        for line in lines[lines.index("/*") + 1 :]:
            name, value = line.split(":")
            self.send_header(name.strip(), value.strip())
        super().end_headers()


@contextmanager
def served(folder: Path, handler: type[_Quiet] = _Quiet) -> Iterator[str]:
    """Serve static files, as `python -m http.server` does; yield the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="session")
def site_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web") / "site"
    write_site(ENGINES, str(folder))
    return folder


@pytest.fixture(scope="session")
def site(site_folder: Path) -> Iterator[str]:
    """The address of the static page."""
    with served(site_folder) as address:
        yield address


@pytest.fixture(scope="session")
def isolated_site(site_folder: Path) -> Iterator[str]:
    """The address of the static page on a host that obeys its `_headers`."""
    with served(site_folder, _Configured) as address:
        yield address


@pytest.fixture(scope="session")
def service() -> Iterator[str]:
    """The address of the page of a service."""
    engines = [word for name in ENGINES for word in ("--engine", name)]
    command = [sys.executable, "-m", "zoo.serve", "--port", "0", "--instances", "1", *engines]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[0] + "/"
    finally:
        process.terminate()
        process.wait()


def _watch(page: Page) -> list[str]:
    """Collect what fails unseen in a window, and requests to other hosts."""
    problems: list[str] = []
    page.set_default_timeout(240_000)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: line.type == "error" and problems.append(line.text))
    page.on(
        "request",
        lambda request: (
            request.url.startswith(("http://127.0.0.1", "blob:", "data:"))
            or problems.append(request.url)
        ),
    )
    return problems


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A new window. `page.expected_problems` may be parts of errors on its console."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    problems = _watch(page)
    yield page
    context.close()
    expected = getattr(page, "expected_problems", ())
    assert [p for p in problems if not any(part in p for part in expected)] == []


@pytest.fixture(scope="session", params=["site", "service"])
def address(request: pytest.FixtureRequest) -> str:
    """The address of the page, without a service and with one."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def window(browser: Browser, address: str) -> Iterator[Page]:
    """A window for many tests, which open the page once: engines stay loaded."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    problems = _watch(page)
    yield page
    context.close()
    assert problems == []
