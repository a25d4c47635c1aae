"""Inversion in the page: a picture's latent without an encoder, with one, by class, and stopped."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Page

from pages import canvas, drop, in_address, open_page, problem, said, settle
from runtime import Encoder, Generator, noise
from zoo import engine_path
from zoo.evaluation.quality import psnr
from zoo.images import png

pytestmark = pytest.mark.long

RESULT = "figure:nth-child(2) canvas"


def linked_latent(window: Page) -> np.ndarray:
    """The latent [1, D] in the address."""
    window.wait_for_timeout(400)
    text = parse_qs(urlsplit(window.url).fragment)["latent"][0]
    return np.frombuffer(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "<f4")[None]


def shown_quality(window: Page, image: np.ndarray) -> float:
    shown = canvas(window, RESULT)[..., : image.shape[-1]]
    return float(psnr(image[None], shown[None])[0])


def test_the_latent_of_a_dropped_picture_is_found(window: Page, address: str) -> None:
    with Generator(engine_path("gan"), instances=1) as generator:
        image = generator.sample(1, seed=1234)[0]
        samples = generator.decode(noise.normals(2**63, 0, 1024, generator.latent_width))
        best = psnr(np.repeat(image[None], 1024, 0), samples).max()
        open_page(window, address, model="gan")
        drop(window, png.encode(image), "garment.png")
        in_address(window, "latent=")
        settle(window)
        quality = shown_quality(window, image)
        assert quality > best + 8 and quality > 28
        assert f"{quality:.1f} dB" in window.locator("figure.large").nth(1).inner_text()
        again = generator.decode(linked_latent(window))
    assert np.abs(again[0].astype(int) - canvas(window, RESULT)[..., :1]).max() <= 1
    assert "images/s" in window.locator("#status").inner_text()
    said(window, "Found with ")
    window.get_by_role("button", name="Explore around it").click()
    settle(window)
    assert np.abs(again[0].astype(int) - canvas(window, "figure.large canvas")[..., :1]).max() <= 1


def test_a_search_begins_at_the_encoder(window: Page, address: str) -> None:
    with Generator(engine_path("vae"), instances=1) as generator:
        image = generator.sample(1, seed=77)[0]
        with Encoder(engine_path("vae.encoder.onnx"), instances=1) as encoder:
            encoded = psnr(image[None], generator.decode(encoder.embed(image[None])))[0]
    open_page(window, address, model="vae")
    drop(window, png.encode(image), "garment.png")
    in_address(window, "latent=")
    settle(window)
    assert shown_quality(window, image) == pytest.approx(encoded, abs=0.1)
    window.get_by_role("button", name="Search further").click()
    settle(window)
    assert shown_quality(window, image) > encoded + 6


def test_the_class_is_found_or_kept(window: Page, address: str) -> None:
    with Generator(engine_path("cgan"), instances=1) as generator:
        image = generator.sample(1, seed=5, labels="Trouser")[0]
    open_page(window, address, model="cgan")
    drop(window, png.encode(image), "trouser.png")
    in_address(window, "latent=")
    settle(window)
    classes = window.get_by_label("Class", exact=True)
    assert classes.locator("option:checked").inner_text() == "Trouser"
    found = shown_quality(window, image)
    assert found > 20
    # The same latent in another class.
    classes.select_option("Bag")
    settle(window)
    assert shown_quality(window, image) < found - 3
    assert problem(window) == ""


def test_a_search_is_stopped_or_left(window: Page, address: str) -> None:
    with Generator(engine_path("stylegan"), instances=1) as generator:
        image = generator.sample(1, seed=5)[0]
    open_page(window, address, model="stylegan")
    drop(window, png.encode(image), "face.png")
    stop = window.get_by_role("button", name="Stop here")
    window.wait_for_selector(".search progress:not([value='0'])")
    assert "dB" in window.locator(".search").inner_text()
    stop.click()
    in_address(window, "latent=")
    settle(window)
    assert not stop.is_visible()
    with Generator(engine_path("stylegan"), instances=1) as generator:
        again = generator.decode(linked_latent(window))[0]
    assert np.abs(again.astype(int) - canvas(window, RESULT)).max() <= 1
    # Another view ends a search at once, and nothing is found.
    window.get_by_role("button", name="Search further").click()
    stop.wait_for()
    before = linked_latent(window)
    window.locator("#tab-samples").click()
    window.wait_for_selector(".grid")
    settle(window)
    assert np.array_equal(linked_latent(window), before) and problem(window) == ""
    # A sample is searched only when asked for.
    open_page(window, address, model="gan", view="picture")
    assert window.get_by_role("button", name="Find its latent").is_visible()
    assert not window.locator(RESULT).is_visible()
