"""Figures that commands of the zoo draw, of test images."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from zoo import data
from zoo.images.convert import enlarge, to_pillow

from . import charts
from .commands import command

SHIRT = 6
WITHOUT = (
    "Smiling",
    "Mouth_Open",
    "Eyeglasses",
    "Sunglasses",
    "Eyes_Closed",
    "Wink",
    "Heart_Eyes",
    "Beard",
    "Mustache",
)


@contextmanager
def write_images(images: np.ndarray, names: Sequence[str]) -> Iterator[list[Path]]:
    """Yield files of images uint8 [n, H, W, C] in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.png" for name in names]
        for image, path in zip(images, paths, strict=True):
            to_pillow(image).save(path)
        yield paths


def draw_posterior(path: Path) -> None:
    """Draw variations of one image: latents drawn from its posterior."""
    clothes = data.load("fashion-mnist").test
    row = np.flatnonzero(np.asarray(clothes.labels) == SHIRT)[:1]
    with write_images(clothes.images[row], ["shirt"]) as (shirt,):
        command("sample", "--engine", "vae.onnx", "--from", shirt, "-n", 23, "--out", path)


def draw_attributes(path: Path) -> None:
    """Draw strips over α of a smile and of glasses, for faces with neither."""
    faces = data.load("faces")
    assert faces.test.attributes is not None
    hidden = [faces.attributes.index(name) for name in WITHOUT]
    rows = np.flatnonzero((faces.test.attributes[:, hidden] < 0).all(1))[:2]
    with write_images(faces.test.images[rows], ["A", "B"]) as people:
        command(
            "edit", "--engine", "vae-faces.onnx", *people, "--strip", "Smiling",
            "--strip", "Eyeglasses", "--steps", 4, "--out", path,
        )  # fmt: skip
    charts.reduce_colours(Image.open(path), path, colours=192)


def draw_faces(path: Path) -> None:
    """Draw the interpolation between two faces as a small animation."""
    faces = data.load("faces").test
    with write_images(faces.images[[5, 20]], ["A", "B"]) as (a, b):
        images = a.with_name("images.npy")
        command("interpolate", a, b, "--engine", "vae-faces.onnx", "--steps", 15, "--out", images)
        frames = [
            to_pillow(enlarge(image, 2)).quantize(64, dither=Image.Dither.NONE)
            for image in np.load(images)
        ]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=150, loop=0)
