"""The page by keyboard and for screen readers: names, roles, focus, contrast, what is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from pages import VIEWS, canvas, difference, drop, in_address, open_page, said, settle
from runtime import Generator, Translator
from zoo import engine_path

pytestmark = pytest.mark.long

AUDIT = Path(__file__).with_name("audit.js").read_text("utf-8")


def audit(window: Page, name: str) -> Any:
    """Return what a function of audit.js finds in the page."""
    return window.evaluate(f"() => {{ {AUDIT}\nreturn {name}(); }}")


@pytest.mark.parametrize(("model", "view"), VIEWS)
def test_names_and_roles(window: Page, address: str, model: str, view: str) -> None:
    open_page(window, address, model=model, view=view)
    assert audit(window, "faults") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("model", "view"), VIEWS)
def test_text_stands_out(window: Page, address: str, model: str, view: str, scheme: str) -> None:
    window.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    open_page(window, address, model=model, view=view)
    seen, faint = audit(window, "faint")
    window.emulate_media(color_scheme=None)
    assert seen > 10 and faint == []


def focus_from_tabs(window: Page, view: str) -> None:
    """Put the focus on the control after the tabs, as the Tab key does."""
    window.locator(f"#tab-{view}").focus()
    window.keyboard.press("Tab")


@pytest.mark.parametrize(("model", "view"), VIEWS)
def test_every_control_is_reached_and_shows_its_focus(
    window: Page, address: str, model: str, view: str
) -> None:
    open_page(window, address, model=model, view=view, n=4)
    count = window.evaluate(
        """() => {
          const kinds = "a[href], button, input, select, [tabindex='0']";
          const reachable = [...document.querySelectorAll(kinds)]
            .filter((each) => each.tabIndex === 0 && each.checkVisibility());
          reachable.forEach((each, k) => (each.dataset.number = k));
          document.activeElement?.blur();
          return reachable.length;
        }"""
    )
    window.evaluate("getSelection().removeAllRanges()")
    reached, hidden = set(), []
    for _ in range(count + 2):
        window.keyboard.press("Tab")
        number, shown = window.evaluate(
            """() => {
              const at = document.activeElement;
              const lined = (each) => each && getComputedStyle(each).outlineStyle !== "none";
              return [at.dataset.number, lined(at) || lined(at.parentElement)];
            }"""
        )
        if number is not None:
            reached.add(int(number))
            if not shown:
                hidden.append(number)
    assert reached == set(range(count)) and hidden == []


def test_a_hole_is_painted_by_keyboard(window: Page, address: str, tmp_path: Path) -> None:
    with Generator(engine_path("vae-faces"), instances=1) as generator:
        image = generator.sample(1, seed=99)[0]
    from zoo.images import png

    open_page(window, address, model="inpainting-ae")
    drop(window, png.encode(image), "face.png")
    in_address(window, "from=picture")
    window.get_by_role("button", name="Whole again").click()
    settle(window)
    first = "figure:nth-child(1) canvas"
    assert difference(canvas(window, first), image) == 0
    focus_from_tabs(window, "picture")
    said(window, "Row 33, column 33, picture, brush up")
    assert window.locator(".brush").is_visible()
    window.keyboard.press("Shift+ArrowUp")
    window.keyboard.press(" ")
    said(window, "Row 28, column 33, hole, brush down")
    for _ in range(2):
        window.keyboard.press("Shift+ArrowRight")
    window.keyboard.press("ArrowRight")
    window.keyboard.press(" ")
    window.keyboard.press("ArrowDown")
    said(window, "Row 29, column 44, hole, brush up")
    window.keyboard.press("Shift+ArrowDown")
    said(window, "Row 34, column 44, picture, brush up")
    settle(window)
    # A brush of radius 3 from (32.5, 27.5) to (43.5, 27.5).
    y, x = np.mgrid[:64, :64] + 0.5
    distance = np.hypot(np.maximum(0, np.maximum(32.5 - x, x - 43.5)), y - 27.5)
    holes = distance <= 3.25
    shown = canvas(window, first)
    assert (shown[holes] == 0).all() and np.array_equal(shown[~holes], image[~holes])
    known = np.where(holes, 0, 255).astype(np.uint8)[..., None]
    with Translator(engine_path("inpainting-ae"), instances=1) as translator:
        whole = np.concatenate([np.where(known, image, 0).astype(np.uint8), known], -1)
        expected = translator.translate(whole[None])[0]
    assert difference(canvas(window, "figure:nth-child(2) canvas"), expected) <= 1


def test_a_point_is_moved_by_keyboard(window: Page, address: str) -> None:
    open_page(window, address, model="vae", n=4)
    # From the tabs to the first image; choosing it leads to the plane, and the focus along.
    focus_from_tabs(window, "samples")
    window.keyboard.press("Enter")
    window.wait_for_selector(".knob")
    settle(window)
    assert window.evaluate("document.activeElement.id") == "stage"
    window.keyboard.press("Tab")
    window.keyboard.press("ArrowRight")
    window.keyboard.press("Shift+ArrowUp")
    settle(window)
    knob = window.locator(".knob")
    assert knob.get_attribute("aria-valuetext") == "x 0.10, y -0.50"
    assert knob.get_attribute("role") == "slider"


def test_images_and_links_are_announced(window: Page, address: str) -> None:
    open_page(window, address, model="vae", n=4)
    window.get_by_label("Seed", exact=True).fill("31")
    said(window, "4 images of seed 31")
