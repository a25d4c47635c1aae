"""The page in Chromium, without a server and with one: its images are those of the runtime."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from pages import (
    canvas,
    difference,
    download,
    drop,
    grid_images,
    in_address,
    open_page,
    problem,
    settle,
)
from runtime import Encoder, Generator, Translator, noise
from zoo import engine_path
from zoo.applications import editing, style_mixing
from zoo.engines import open_halves

pytestmark = pytest.mark.long

LARGE = "figure.large canvas"


@pytest.fixture(scope="module")
def vae() -> Iterator[Generator]:
    with Generator(engine_path("vae.onnx"), instances=1) as generator:
        yield generator


@pytest.fixture(scope="module")
def faces() -> Iterator[Generator]:
    with Generator(engine_path("vae-faces.onnx"), instances=1) as generator:
        yield generator


@pytest.mark.parametrize(
    ("name", "state", "options"),
    [
        ("vae", {"n": 9, "seed": 7}, {}),
        ("vae", {"n": 4, "seed": 2**64 - 3, "first": 2**40 + 5}, {}),
        ("vae", {"n": 4, "prior": "mixture"}, {"prior": "mixture"}),
        ("cgan", {"n": 16, "first": 3}, {}),
        ("cgan", {"n": 4, "label": 8}, {"labels": 8}),
        ("stylegan", {"n": 4, "truncation": 0.5, "noise": 0.3}, {"truncation": 0.5, "noise": 0.3}),
    ],
)
def test_samples(
    window: Page, address: str, name: str, state: dict[str, int], options: dict[str, float]
) -> None:
    open_page(window, address, model=name, **state)
    assert problem(window) == ""
    n, seed, first = state["n"], state.get("seed", 0), state.get("first", 0)
    with Generator(engine_path(name), instances=1) as generator:
        expected = generator.sample(n, seed=seed, first=first, **options)
        images = grid_images(download(window, "#png"), n, generator.image_shape)
    assert difference(images, expected) <= 1
    assert window.locator(".cell").count() == n
    assert "images/s" in window.locator("#status").inner_text()
    with Image.open(io.BytesIO(download(window, "#gif"))) as gif:
        assert gif.n_frames == n


def gif_frames(content: bytes) -> np.ndarray:
    """The frames [n, H, W, 3] of an animation, as Pillow reads them."""
    frames = []
    with Image.open(io.BytesIO(content)) as gif:
        for index in range(gif.n_frames):
            gif.seek(index)
            frames.append(np.asarray(gif.convert("RGB")))
    return np.stack(frames)


def latents(seed: int, *indices: int, width: int = 32) -> np.ndarray:
    return np.concatenate([noise.normals(seed, index, 1, width) for index in indices])


def test_dragging_over_a_plane(window: Page, address: str, vae: Generator) -> None:
    open_page(window, address, model="vae", view="plane", seed=3, index=5)
    h, u, v = latents(3, 5, 6, 7)
    assert difference(canvas(window, LARGE), vae.decode(h[None])[0]) <= 1
    box = window.locator(".pad").bounding_box()
    assert box is not None
    window.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    window.mouse.down()
    for share in (0.6, 0.7, 0.75):
        window.mouse.move(box["x"] + share * box["width"], box["y"] + 0.25 * box["height"])
    window.mouse.up()
    settle(window)
    window.wait_for_timeout(400)
    get = "name => new URLSearchParams(location.hash.slice(1)).get(name)"
    x, y = (float(window.evaluate(get, name)) for name in "xy")
    assert abs(x - 1) < 0.02 and abs(y + 1) < 0.02
    point = (h + x * u + y * v) / np.sqrt(1 + x * x + y * y)
    assert difference(canvas(window, LARGE), vae.decode(point[None].astype(np.float32))[0]) <= 2
    # The map below: its middle image is the image itself.
    tile = canvas(window, ".map")[3 * 28 : 4 * 28, 3 * 28 : 4 * 28]
    assert difference(tile, vae.decode(h[None])[0]) <= 1
    window.keyboard.press("Home")
    window.keyboard.press("ArrowRight")
    window.keyboard.press("Shift+ArrowDown")
    settle(window)
    assert "x 0.10, y 0.50" in window.locator("figure.large").inner_text()


def test_between_four_corners(window: Page, address: str, vae: Generator) -> None:
    open_page(window, address, model="vae", view="corners", seed=1, corners="4,9,2,7", cx=1, cy=0)
    assert difference(canvas(window, LARGE), vae.sample(1, seed=1, first=9)[0]) <= 1
    window.locator(".knob").focus()
    for _ in range(20):
        window.keyboard.press("ArrowLeft")
    settle(window)
    two = latents(1, 4, 9).sum(0) / np.sqrt(2)
    assert difference(canvas(window, LARGE), vae.decode(two[None])[0]) <= 1
    frames = gif_frames(download(window, "#gif"))
    assert frames.shape == (32, 252, 252, 3)
    # Around the sides: corner, eight steps, corner, and in the middle between them.
    corners = vae.decode(latents(1, 4, 9, 7, 2))
    for k, corner in enumerate(corners):
        assert difference(frames[8 * k, ::9, ::9], corner) <= 1
    assert difference(frames[4, ::9, ::9], vae.decode(two[None])[0]) <= 1


def test_attributes(window: Page, address: str, faces: Generator) -> None:
    open_page(window, address, model="vae-faces", view="edit", seed=2)
    window.get_by_label("Smiling", exact=True).focus()
    for _ in range(15):
        window.keyboard.press("ArrowRight")
    settle(window)
    h = latents(2, 0, width=64)
    edited = editing.edit(h, editing.load_directions(faces), {"Smiling": 1.5})
    assert difference(canvas(window, "figure:nth-child(2) canvas"), faces.decode(edited)[0]) <= 1
    assert difference(canvas(window, "figure:nth-child(1) canvas"), faces.decode(h)[0]) <= 1
    in_address(window, "edits=Smiling%3A1.5")
    window.get_by_role("button", name="Reset").click()
    settle(window)
    assert difference(canvas(window, "figure:nth-child(2) canvas"), faces.decode(h)[0]) <= 1


def test_classes_of_one_latent(window: Page, address: str) -> None:
    open_page(window, address, model="cgan", view="edit", seed=2)
    with Generator(engine_path("cgan"), instances=1) as generator:
        h = latents(2, 0, width=64)
        bag = generator.decode(h, labels="Bag")[0]
    assert difference(canvas(window, ".classes .cell:nth-child(9) canvas"), bag) <= 1
    window.locator(".classes .cell:nth-child(9)").click()
    settle(window)
    assert difference(canvas(window, LARGE), bag) <= 1


def test_mixed_styles(window: Page, address: str) -> None:
    requests: list[str] = []
    window.on("request", lambda request: requests.append(request.url))
    open_page(window, address, model="stylegan", view="mix", seed=4, other=3, layers="1100110000")
    # A service is asked once for all three images; the static page asks nobody.
    served = window.evaluate("document.documentElement.dataset.source") != "local"
    assert sum("/mix?" in url for url in requests) == served
    with Generator(engine_path("stylegan"), instances=1) as generator:
        mapping, synthesis = open_halves(generator)
        a, b = style_mixing.styles(mapping, latents(4, 0, 3, width=64), 1.0)
        rows = [
            style_mixing.mix(a[None], b[None], 10, layers)
            for layers in ((), (0, 1, 4, 5), range(10))
        ]
        expected = synthesis.decode(np.concatenate(rows))
        mapping.close()
        synthesis.close()
    for k in range(3):
        got = canvas(window, f"figure:nth-child({k + 1}) canvas")
        assert difference(got, expected[k]) <= 1
    # The styles of the chosen layers go to those of the other image and back.
    frames = gif_frames(download(window, "#gif"))[:, ::4, ::4].astype(int)
    assert frames.shape == (24, 64, 64, 3)
    for k, image in ((0, expected[0]), (12, expected[1])):
        assert np.abs(frames[k] - image).mean() < 8
    np.testing.assert_array_equal(frames[6], frames[18])
    assert (
        np.abs(frames[6] - frames[0]).mean() > 0.5 and np.abs(frames[6] - frames[12]).mean() > 0.5
    )
    window.get_by_role("button", name="1 · 4×4").click()
    settle(window)
    in_address(window, "layers=0100110000")
    # Without a layer, the mixed image is the image.
    open_page(window, address, model="stylegan", view="mix", seed=4, other=3, layers="0000000000")
    assert difference(canvas(window, "figure:nth-child(2) canvas"), expected[0]) <= 1
    assert difference(canvas(window, "figure:nth-child(3) canvas"), expected[2]) <= 1


@pytest.fixture
def face(tmp_path: Path, faces: Generator) -> tuple[Path, np.ndarray]:
    image = faces.sample(1, seed=99)[0]
    Image.fromarray(image).save(tmp_path / "face.png")
    return tmp_path / "face.png", image


def test_a_picture_is_reconstructed_and_edited(
    window: Page, address: str, faces: Generator, face: tuple[Path, np.ndarray]
) -> None:
    path, image = face
    open_page(window, address, model="vae-faces", view="picture")
    window.locator("input[type=file]").set_input_files(path)
    in_address(window, "from=picture")
    settle(window)
    with Encoder(engine_path("vae-faces.encoder.onnx"), instances=1) as encoder:
        mu = encoder.embed(image[None])
    assert difference(canvas(window, "figure:nth-child(1) canvas"), image) == 0
    assert difference(canvas(window, "figure:nth-child(2) canvas"), faces.decode(mu)[0]) <= 1
    window.get_by_role("button", name="Explore around it").click()
    settle(window)
    assert difference(canvas(window, LARGE), faces.decode(mu)[0]) <= 1
    # The latent is part of the link.
    in_address(window, "view=plane")
    link = window.url
    open_page(window, address, model="cgan", n=1)
    window.evaluate("link => { location.href = link }", link)
    in_address(window, "view=plane")
    settle(window)
    assert difference(canvas(window, LARGE), faces.decode(mu)[0]) <= 1


def test_a_dropped_picture_is_completed(
    window: Page, address: str, face: tuple[Path, np.ndarray]
) -> None:
    path, image = face
    open_page(window, address, model="inpainting-ae")
    drop(window, path.read_bytes(), path.name)
    in_address(window, "from=picture")
    settle(window)
    shown = canvas(window, "figure:nth-child(1) canvas")
    hidden = np.all(shown == 0, axis=-1) & ~np.all(image == 0, axis=-1)
    assert hidden[22:42, 22:42].mean() > 0.9 and not hidden[:20].any()
    box = window.locator("figure:nth-child(1) canvas").bounding_box()
    assert box is not None
    window.mouse.move(box["x"] + 20, box["y"] + 20)
    window.mouse.down()
    window.mouse.move(box["x"] + box["width"] - 20, box["y"] + 20, steps=5)
    window.mouse.up()
    settle(window)
    shown = canvas(window, "figure:nth-child(1) canvas")
    mask = np.where(np.all(shown == 0, axis=-1) & ~np.all(image == 0, axis=-1), 0, 255)
    assert (mask[3] == 0).mean() > 0.8
    known = mask[..., None].astype(np.uint8)
    with Translator(engine_path("inpainting-ae"), instances=1) as translator:
        whole = np.concatenate([np.where(known, image, 0).astype(np.uint8), known], -1)
        expected = translator.translate(whole[None])[0]
    got = canvas(window, "figure:nth-child(2) canvas")
    # Pixels of the face that are black may count as hidden here, and not in the window.
    assert np.mean(np.abs(got.astype(int) - expected.astype(int)) > 1) < 0.01


def test_noise_is_removed(window: Page, address: str, vae: Generator) -> None:
    open_page(window, address, model="denoising-ae", seed=6, level=0.3, **{"from": "vae"})
    from zoo import corruption

    noisy = corruption.parse("gaussian:0.3").apply(vae.sample(1, seed=6), seed=6)
    with Translator(engine_path("denoising-ae"), instances=1) as translator:
        expected = translator.translate(noisy)[0]
    assert difference(canvas(window, "figure:nth-child(1) canvas"), noisy[0]) <= 1
    assert difference(canvas(window, "figure:nth-child(2) canvas"), expected) <= 2


def test_domains_keep_the_other_attributes(
    window: Page, address: str, face: tuple[Path, np.ndarray]
) -> None:
    from zoo.applications.domains import open_domain_translator
    from zoo.engines import open_translator

    path, image = face
    open_page(window, address, model="stargan", to="Pink_Hair,Eyeglasses")
    window.locator("input[type=file]").set_input_files(path)
    in_address(window, "from=picture")
    settle(window)
    with open_translator("stargan") as translator:
        with open_domain_translator(translator, "Pink_Hair,Eyeglasses") as domains:
            expected = domains.translate(image[None])[0]
    assert difference(canvas(window, "figure:nth-child(2) canvas"), expected) <= 1
