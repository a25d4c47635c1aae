"""Draws the figures of the adversarial models for docs/gallery.md; see scripts/gallery.py.

Pictures come from the shipped engines, curves from the metrics of their training runs in
benchmarks/results/training.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from runtime import Encoder, Generator
from zoo import engine_path
from zoo.data import DataSet
from zoo.engines import encoder_path
from zoo.images.rows import Row, draw
from zoo.training import curves

TRAINING = Path(__file__).resolve().parent.parent / "benchmarks" / "results" / "training"
COLUMNS = 10


def bigan(path: Path, clothes: DataSet, seed: int = 0) -> None:
    """The strips of the paper's figures: G(z); x above G(E(x))."""
    labels = np.asarray(clothes.test.labels)
    rows = np.concatenate([np.flatnonzero(labels == k)[1:3] for k in range(COLUMNS)])
    images = clothes.test.images[rows]
    engine = engine_path("bigan.onnx")
    with Encoder(encoder_path(engine)) as encoder, Generator(engine) as generator:
        copies = generator.decode(encoder.embed(images))
        samples = generator.sample(2 * COLUMNS, seed)
    blank = [""] * 2 * COLUMNS
    parts = [
        Row("G(z), samples", list(samples), blank),
        Row("x, test images", list(images), [clothes.classes[labels[row]] for row in rows]),
        Row("G(E(x))", list(copies), blank),
    ]
    draw(parts, "bigan: samples, and reconstructions", 2 * COLUMNS).save(path)


def styles(command: Callable[..., None], out: Path) -> None:
    """Draw mixed styles, styles inverted from images, and edited ones."""
    command("mix", "--engine", "stylegan.onnx", "--truncation", 0.7, "--out", out / "mixed.png")
    synthesis = ("--engine", "stylegan.synthesis.onnx")
    with tempfile.TemporaryDirectory() as folder:
        people, inverted = Path(folder) / "people", Path(folder) / "inverted.npz"
        sample = ("sample", "--engine", "stylegan.onnx", "-n", 4, "--truncation", 0.7)
        command(*sample, "--out", f"{people}/")
        command("invert", *synthesis, people, "--save", inverted, "--out", out / "inverted-w.png")
        command(
            "edit", *synthesis, *(f"latent:{inverted}:{row}" for row in (0, 2, 3)),
            "--strip", "Sunglasses", "--strip", "Long_Hair", "--strip", "Dark_Skin",
            "--out", out / "gan-edits.png",
        )  # fmt: skip


def draw_all(command: Callable[..., None], out: Path, clothes: DataSet) -> None:
    """Draw all figures into a folder; `command` runs a command of the zoo."""
    for name in ("gan", "dcgan", "cgan", "dcgan-faces", "progan", "stylegan"):
        command("sample", "--engine", f"{name}.onnx", "-n", 40, "--out", out / f"{name}.png")
    styles(command, out)
    command(
        "translate", "--engine", "stargan.onnx", "--data", "faces", "-n", 8,
        "--grid", out / "stargan.png",
    )  # fmt: skip
    command(
        "translate", "--engine", "pix2pix-edges.onnx", "--data", "faces", "--split", "test",
        "-n", 16, "--edges", "--grid", out / "pix2pix-edges.png",
    )  # fmt: skip
    command(
        "translate", "--engine", "pix2pix-colour.onnx", "--data", "faces", "--split", "test",
        "-n", 16, "--grey", "--grid", out / "pix2pix-colour.png",
    )  # fmt: skip
    bigan(out / "bigan.png", clothes)
    curves.draw(TRAINING / "dcgan.jsonl", out / "equilibrium.png")
    command(
        "nearest", "--engine", "dcgan.onnx", "--data", "fashion-mnist",
        "--out", out / "nearest.png",
    )  # fmt: skip
    command(
        "invert", "--engine", "dcgan.onnx", "sample:1", "sample:2", "sample:3", "sample:4",
        "--out", out / "inverted.png",
    )  # fmt: skip
