"""Grids that the service answers, against the pictures that the commands draw."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from runtime import Encoder, Generator, noise
from services import engine_options, serving
from zoo import engine_path
from zoo.applications.edits import edit_images
from zoo.applications.interpolation import interpolate_images
from zoo.applications.mixing import mix_styles
from zoo.applications.reconstruction import compare_reconstructions
from zoo.applications.translation import translate_images
from zoo.images import grid, png
from zoo.inference.inputs import Selection

Images = np.ndarray


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    engines = engine_options(("vae", "cgan", "stylegan", "vae-faces", "denoising-ae", "stargan"))
    with serving(*engines, "--most", "5000") as (client, _):
        yield client


def ask(client: httpx.Client, path: str, **values: Any) -> np.ndarray:
    """Return the pixels of the grid, which is also the default of several images."""
    answer = client.post(f"/v1/models/{path}", json={**values, "format": "grid"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "image/png"
    if not answer.headers["X-Zoo-Shape"].startswith("1,"):
        assert client.post(f"/v1/models/{path}", json=values).content == answer.content
    return pixels(io.BytesIO(answer.content))


def pixels(file: Path | io.BytesIO) -> np.ndarray:
    with Image.open(file) as picture:
        return np.asarray(picture)


def encoded(files: list[Path]) -> list[str]:
    return [base64.b64encode(file.read_bytes()).decode() for file in files]


def save_pictures(folder: Path, engine: str, count: int) -> list[Path]:
    """Write samples of an engine, with the names that the service gives to pictures."""
    folder.mkdir()
    with Generator(engine_path(f"{engine}.onnx")) as generator:
        images = generator.sample(count, seed=8)
    files = [folder / f"picture {index}.png" for index in range(count)]
    for file, image in zip(files, images, strict=True):
        file.write_bytes(png.encode(image))
    return files


def test_interpolate(client: httpx.Client, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    for engine, options in (
        ("vae", {"steps": 6, "mode": "spherical"}),
        ("vae", {"steps": 40}),
        ("cgan", {"label": "Bag"}),
        ("stylegan", {"steps": 1, "truncation": 0.5}),
    ):
        interpolate_images("seed:1", "sample:4", engine, seed=3, out=str(out), **options)
        values = {"points": ["seed:1", "sample:4"], "seed": 3, **options}
        assert np.array_equal(ask(client, f"{engine}/interpolate", **values), pixels(out)), options


def test_interpolate_through_several_points(client: httpx.Client) -> None:
    with (
        Generator(engine_path("vae.onnx")) as generator,
        Encoder(engine_path("vae.encoder.onnx")) as encoder,
    ):
        picture = generator.sample(1, seed=8)
        latent = noise.normals(3, 5, 1, generator.latent_width)
        end = encoder.embed(picture)
        one = generator.interpolate(noise.normals(1, 0, 1, generator.latent_width)[0], latent[0], 3)
        two = generator.interpolate(latent[0], end[0], 3)
    values = {
        "points": ["seed:1", latent[0].tolist()],
        "images": base64.b64encode(png.encode(picture[0])).decode(),
        "steps": 3,
    }
    drawn = ask(client, "vae/interpolate", **values)
    places = [place(drawn, image) for image in (*one, *two[1:])]
    assert None not in places
    assert places == sorted(places, key=lambda at: at[1]) and len({top for top, _ in places}) == 1
    # The title has a few names only, however many the points are.
    many = ask(client, "vae/interpolate", points=[f"seed:{k}" for k in range(1000)], steps=1)
    assert many.shape[1] < 2000


def test_reconstruct(client: httpx.Client, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    for engine, count in (("vae", 1), ("vae", 37), ("vae-faces", 3)):
        files = save_pictures(tmp_path / f"{engine}-{count}", engine, count)
        compare_reconstructions(tuple(map(str, files)), engine, out=str(out))
        drawn = ask(client, f"{engine}/reconstruct", images=encoded(files))
        assert np.array_equal(drawn, pixels(out)), (engine, count)


def test_all_pictures_are_in_a_grid_of_reconstructions(client: httpx.Client) -> None:
    """The command draws the first 64 only."""
    with (
        Generator(engine_path("vae.onnx")) as generator,
        Encoder(engine_path("vae.encoder.onnx")) as encoder,
    ):
        images = generator.sample(300, seed=8)
        last = generator.decode(encoder.embed(images[-1:]))[0]
    file = io.BytesIO()
    np.save(file, images)
    url, query = "/v1/models/vae/reconstruct", {"params": {"format": "grid"}}
    kind = {"Content-Type": "application/x-npy"}
    answer = client.post(url, **query, content=file.getvalue(), headers=kind)
    drawn = pixels(io.BytesIO(answer.content))
    top, left = place(drawn, images[-1]) or (0, 0)
    below, same = place(drawn, last) or (0, 0)
    assert below > top > 0 and left == same


def test_edit(client: httpx.Client, tmp_path: Path) -> None:
    names = client.get("/v1/models/vae-faces").json()["attributes"]
    first, second, third = names[:3]
    files, out = save_pictures(tmp_path / "faces", "vae-faces", 2), tmp_path / "out.png"
    for options in (
        {"add": [f"{first}=1.5"]},
        {"add": [f"{first}=1.5"], "steps": 3},
        {"strip": [second, third], "add": [f"{first}=-1"], "low": -1.0, "steps": 2},
    ):
        values = {**options, "add": options["add"][0], "seed": 9}
        for sources, points, images in (
            (["seed:4"], ["seed:4"], []),
            (["seed:4", "sample:2"], ["seed:4", "sample:2"], []),
            (["seed:4", str(files[0].parent)], ["seed:4"], files),
        ):
            edit_images(sources, "vae-faces", seed=9, out=str(out), **options)
            given = {**values, "points": points} | ({"images": encoded(images)} if images else {})
            drawn = ask(client, "vae-faces/edit", **given)
            assert np.array_equal(drawn, pixels(out)), (options, sources)


def test_translate(client: httpx.Client, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    files = save_pictures(tmp_path / "pictures", "vae", 20)
    for high, options in ((2, {}), (3, {"corrupt": "gaussian:0.3", "seed": 5})):
        translate_images(
            Selection(tuple(map(str, files))), "denoising-ae", grid=str(out), **options
        )
        drawn = ask(client, "denoising-ae/translate", images=encoded(files), **options)
        assert np.array_equal(nameless(drawn, high), nameless(pixels(out), high))
    faces, out = save_pictures(tmp_path / "faces", "vae-faces", 2), tmp_path / "out.npy"
    translate_images(Selection(tuple(map(str, faces))), "stargan", to="Smiling", out=str(out))
    values = {"images": encoded(faces), "to": "Smiling"}
    for route in ("translate", "edit"):
        drawn = ask(client, f"stargan/{route}", **values)
        for face, output in zip(map(pixels, faces), np.load(out), strict=True):
            (top, left), (below, same) = place(drawn, face), place(drawn, output)
            assert below > top and left == same


def nameless(picture: np.ndarray, high: int) -> np.ndarray:
    """Return a picture of two rows of garments, each of `high` tiles, without title and names.

    The service does not know where pictures are from.
    """
    layout = grid.plan(32 * high, 28, 28, 16)
    picture = picture[grid.MARGIN + grid.TITLE_HEIGHT :].copy()
    for row in range(0, layout.rows, high):
        _, top = layout.corner(16 * row, layout.tile_height)
        picture[top : top + grid.LABEL_HEIGHT] = 255
    return picture


def test_pictures_that_would_be_too_large_are_refused(client: httpx.Client) -> None:
    name = client.get("/v1/models/vae-faces").json()["attributes"][0]
    sources = [f"seed:{k}" for k in range(1000)]
    # 4,000 images, and 1,000 reconstructions beside them.
    values = {"points": sources, "strip": [name], "steps": 3, "format": "grid"}
    answer = client.post("/v1/models/vae-faces/edit", json=values)
    assert answer.status_code == 400
    assert "at most 4096 images, got 5000" in answer.json()["error"]


def test_mix(client: httpx.Client, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    across, down = ["sample:1", "seed:8"], ["sample:3", "sample:4", "sample:5"]
    options = {"seed": 2, "truncation": 0.6}
    mix_styles("stylegan", across, down, bands="coarse,fine", out=str(out), **options)
    with Image.open(out) as picture:
        expected = np.asarray(picture)
    values = {"across": across, "down": down, "bands": ["coarse", "fine"], **options}
    for format in ({"format": "grid"}, {}):
        answer = client.post("/v1/models/stylegan/mix", json={**values, **format})
        assert answer.status_code == 200, answer.text
        assert answer.headers["X-Zoo-Shape"].startswith("12,")
        with Image.open(io.BytesIO(answer.content)) as picture:
            assert np.array_equal(np.asarray(picture), expected)
    # A latent has no name, and layers of one's own no band; the images in the table are the same.
    with Generator(engine_path("stylegan.onnx")) as generator:
        latents = noise.normals(2, 1, 1, generator.latent_width).tolist()
    values = {"across": latents, "down": down, "layers": [0, 5], **options}
    url = "/v1/models/stylegan/mix"
    answer = client.post(url, json={**values, "format": "grid"})
    with Image.open(io.BytesIO(answer.content)) as picture:
        table = np.asarray(picture)
    answer = client.post(url, json={**values, "format": "npy"})
    for image in np.load(io.BytesIO(answer.content)):
        assert place(table, image)
    # Without a layer of B, the sources A stay as they are.
    values = {"across": ["seed:1"], "down": down, "layers": [], "seed": 2}
    answer = client.post(url, json={**values, "format": "npy"})
    with Generator(engine_path("stylegan.onnx")) as generator:
        latents = np.concatenate(
            [noise.normals(2, k, 1, generator.latent_width) for k in (3, 4, 5)]
        )
        expected = generator.decode(latents)
    images = np.load(io.BytesIO(answer.content))
    # Both halves of the network are files of their own, which round differently.
    assert np.abs(images.astype(int) - expected).max() <= 1
    assert client.post(url, json=values).status_code == 200


def place(picture: np.ndarray, image: np.ndarray) -> tuple[int, int] | None:
    """Return (top, left) of the image in the picture, enlarged or not."""
    image = image[:, :, 0] if picture.ndim == 2 else image
    for factor in (1, 2, 3, 4):
        large = image.repeat(factor, 0).repeat(factor, 1)
        height, width = large.shape[:2]
        if height > picture.shape[0] or width > picture.shape[1]:
            continue
        tops, lefts = np.indices((picture.shape[0] - height + 1, picture.shape[1] - width + 1))
        tops, lefts = tops.ravel(), lefts.ravel()
        for row, column in np.ndindex(height, width):
            same = picture[tops + row, lefts + column] == large[row, column]
            same = same if same.ndim == 1 else same.all(axis=1)
            tops, lefts = tops[same], lefts[same]
        if len(tops):
            return int(tops[0]), int(lefts[0])
    return None
