"""The page as a page: errors in words, keyboard, narrow screens, links, progress."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, Route

from pages import VIEWS, canvas, difference, drop, in_address, open_page, problem, settle
from runtime import Generator
from zoo import engine_path

pytestmark = pytest.mark.long


def test_narrow_screens(window: Page, address: str) -> None:
    window.set_viewport_size({"width": 360, "height": 740})
    for model, view in VIEWS:
        open_page(window, address, model=model, view=view)
        width = window.evaluate("document.documentElement.scrollWidth")
        assert width <= 360 and problem(window) == "", (model, view)
    window.set_viewport_size({"width": 1280, "height": 900})


def test_tabs_by_keyboard(window: Page, address: str) -> None:
    open_page(window, address, model="vae")
    window.locator("#tab-samples").focus()
    window.keyboard.press("ArrowRight")
    settle(window)
    assert "view=plane" in window.url
    assert window.evaluate("document.activeElement.id") == "tab-plane"
    window.go_back()
    settle(window)
    assert window.locator("#tab-samples").get_attribute("aria-selected") == "true"


def test_a_link_has_everything(window: Page, address: str) -> None:
    open_page(window, address, model="cgan", n=4, seed=5)
    window.get_by_label("Seed", exact=True).fill("123456789012345")
    window.get_by_label("Class", exact=True).select_option("Bag")
    settle(window)
    in_address(window, "label=8")
    link, before = window.url, canvas(window, ".cell:nth-child(3) canvas")
    open_page(window, address, model="vae", n=1)
    window.evaluate("link => { location.href = link }", link)
    in_address(window, "label=8")
    settle(window)
    assert difference(canvas(window, ".cell:nth-child(3) canvas"), before) == 0
    with Generator(engine_path("cgan"), instances=1) as generator:
        expected = generator.sample(3, seed=123456789012345, labels="Bag")[2]
    assert difference(before, expected) <= 1


def test_a_link_that_is_followed_while_the_address_is_written(window: Page, address: str) -> None:
    """The page writes its state a moment later than it changes, also after a link was followed."""
    open_page(window, address, model="vae", n=1, seed=4)
    in_address(window, "seed=4")
    follow = """text => {
      const before = location.hash;
      location.hash = text;
      history.replaceState(null, "", before);
    }"""
    window.evaluate(follow, "model=vae&n=1&seed=9")
    in_address(window, "seed=9")
    settle(window)
    assert window.get_by_label("Seed", exact=True).input_value() == "9"


def test_a_seed_that_is_none(page: Page, site: str) -> None:
    open_page(page, site, model="vae", n=1, seed=4)
    for text in ("-1", "18446744073709551616", "abc", ""):
        page.get_by_label("Seed", exact=True).fill(text)
        assert page.get_by_text("Expected an integer from 0 to").is_visible()
    page.get_by_label("Seed", exact=True).fill("18446744073709551615")
    settle(page)
    assert not page.get_by_text("Expected an integer from 0 to").is_visible()


def test_what_is_no_picture(window: Page, address: str) -> None:
    open_page(window, address, model="stargan")
    drop(window, b"no picture", "notes.txt", "text/plain")
    window.wait_for_selector("#problem:not([hidden])")
    assert "notes.txt is not a picture that this browser can read." in problem(window)


def test_an_engine_that_cannot_be_loaded(page: Page, site: str) -> None:
    page.expected_problems = ("404", "Failed to load")  # type: ignore[attr-defined]
    page.route("**/cgan.onnx", lambda route: route.fulfill(status=404))
    open_page(page, site, model="cgan")
    assert "cgan.onnx cannot be loaded: the server answered 404." in problem(page)
    page.unroute("**/cgan.onnx")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector("#problem", state="hidden")
    settle(page)
    assert page.locator(".cell").count() == 16


def test_a_damaged_engine(page: Page, site: str) -> None:
    page.route("**/cgan.onnx", lambda route: route.fulfill(body=b"\x00" * 100))
    open_page(page, site, model="cgan")
    assert "cgan.onnx is damaged: expected" in problem(page)


def test_threads_where_the_host_allows_them(page: Page, site: str, isolated_site: str) -> None:
    open_page(page, site, model="cgan", n=20, seed=3)
    assert page.locator("#where").inner_text() == "in this browser"
    open_page(page, isolated_site, model="cgan", n=20, seed=3)
    assert page.evaluate("crossOriginIsolated") and problem(page) == ""
    threads = min(page.evaluate("navigator.hardwareConcurrency"), 4)
    expected = f"in this browser, {threads} threads" if threads > 1 else "in this browser"
    assert page.locator("#where").inner_text() == expected
    with Generator(engine_path("cgan"), instances=1) as generator:
        images = generator.sample(20, seed=3)
    for row in (0, 19):
        got = canvas(page, f".cell:nth-child({row + 1}) canvas")
        assert difference(got, images[row]) <= 1


def test_progress_is_shown(page: Page, site: str) -> None:
    def later(route: Route) -> None:
        page.wait_for_timeout(500)
        route.continue_()

    page.route("**/vae.onnx", later)
    page.goto(f"{site}#model=vae")
    page.wait_for_selector("#loading:not([hidden])")
    assert "MB" in page.locator("#loading").inner_text() or page.locator("#loading").is_visible()
    settle(page)
    assert not page.locator("#loading").is_visible()


def test_a_service_that_is_gone(page: Page, service: str) -> None:
    page.expected_problems = ("Failed to load",)  # type: ignore[attr-defined]
    open_page(page, service, model="vae")
    page.route("**/v1/**", lambda route: route.abort())
    page.get_by_label("Seed", exact=True).fill("77")
    page.wait_for_selector("#problem:not([hidden])")
    assert "The service does not answer: is it still running?" in problem(page)


def test_light_and_dark(browser: Browser, site: str) -> None:
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(site)
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(colour)
    page.get_by_label("Light or dark").click()
    assert page.evaluate(colour) != dark
    page.reload()
    assert page.evaluate(colour) != dark
    context.close()


def test_a_service_that_asks_for_its_key(page: Page, service: str) -> None:
    page.expected_problems = ("401",)  # type: ignore[attr-defined]

    def check(route: Route) -> None:
        if route.request.headers.get("authorization") == "Bearer a key":
            route.continue_()
        else:
            route.fulfill(status=401, body='{"error": "expected the header"}')

    page.route("**/v1/**", check)
    page.goto(f"{service}#model=vae&n=4")
    for text in ("wrong", "a key"):
        page.get_by_label("Key of the service").fill(text)
        page.get_by_role("button", name="Continue").click()
    page.wait_for_selector(".cell:nth-child(4)")
    settle(page)
    assert problem(page) == "" and page.locator(".cell").count() == 4
