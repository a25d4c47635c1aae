"""What a test does with the page: open it, wait, read its pictures."""

from __future__ import annotations

import io
from urllib.parse import urlencode

import numpy as np
from PIL import Image
from playwright.sync_api import Page

VIEWS = [
    ("vae", "samples"),
    ("vae-faces", "plane"),
    ("cgan", "corners"),
    ("vae-faces", "edit"),
    ("stylegan", "mix"),
    ("inpainting-ae", "picture"),
    ("cgan", "picture"),
]
"""Models and views that have all kinds of controls between them."""

_FOLLOW = """text => new Promise((resolve) => {
  if (location.hash === `#${text}`) return resolve();
  addEventListener("hashchange", () => resolve(), { once: true });
  location.hash = text;
})"""


def open_page(page: Page, address: str, **state: object) -> None:
    """Show a state, as a permalink does, and wait until the page has drawn it."""
    text = urlencode(state)
    if page.url.startswith(address):
        # The page follows its address; engines that are loaded stay so.
        page.evaluate(_FOLLOW, text)
    else:
        page.goto(f"{address}#{text}")
    settle(page)


_DROP = """([bytes, name, type]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([Uint8Array.from(bytes)], name, { type }));
  for (const kind of ["dragover", "drop"]) {
    const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
    window.dispatchEvent(new DragEvent(kind, options));
  }
}"""


def drop(page: Page, content: bytes, name: str, kind: str = "image/png") -> None:
    """Drop a file on the page."""
    page.evaluate(_DROP, [list(content), name, kind])


def settle(page: Page) -> None:
    """Wait until the page has drawn its newest state."""
    ready = "#stage[aria-busy=false], #problem:not([hidden])"
    page.wait_for_selector(ready, state="attached")


def said(page: Page, part: str) -> None:
    """Wait until screen readers are told a text with this part."""
    page.locator("#announcer").filter(has_text=part).wait_for(state="attached")


def in_address(page: Page, part: str) -> None:
    """Wait until the address, which is written a moment later, has this part."""
    page.wait_for_url(lambda address: part in address)


def problem(page: Page) -> str:
    """The error that the page shows, or nothing."""
    return page.locator("#problem").inner_text() if page.locator("#problem").is_visible() else ""


def canvas(page: Page, selector: str) -> np.ndarray:
    """The pixels [H, W, 3] of a canvas."""
    data = page.eval_on_selector(
        selector,
        """canvas => [canvas.height, canvas.width, Array.from(
             canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data)]""",
    )
    height, width, pixels = data
    return np.array(pixels, np.uint8).reshape(height, width, 4)[..., :3]


def download(page: Page, button: str) -> bytes:
    with page.expect_download() as waiting:
        page.locator(button).click()
    return waiting.value.path().read_bytes()


def grid_images(png: bytes, count: int, shape: tuple[int, int, int]) -> np.ndarray:
    """The images [n, H, W, C] of a grid with gaps of two pixels."""
    height, width, channels = shape
    picture = Image.open(io.BytesIO(png)).convert("RGB" if channels == 3 else "L")
    pixels = np.asarray(picture).reshape(picture.height, picture.width, channels)
    columns = (picture.width + 2) // (width + 2)
    rows = []
    for index in range(count):
        row, column = divmod(index, columns)
        top, left = row * (height + 2), column * (width + 2)
        rows.append(pixels[top : top + height, left : left + width])
    return np.stack(rows)


def difference(got: np.ndarray, expected: np.ndarray) -> int:
    """The largest difference in levels; grey images may have one channel or three."""
    if expected.shape[-1] == 1:
        got = got[..., :1]
    return int(np.abs(got.astype(int) - expected.astype(int)).max())
