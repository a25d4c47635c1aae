"""Planes through the latents of three images, decoded by an autoencoder and by a VAE."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.patches import Rectangle

from zoo import data
from zoo.inference.pairs import Pair

from . import charts

CLASSES = ("Sneaker", "Pullover", "Trouser")
STEPS = np.arange(-0.5, 1.75, 0.25)


def cut(latents: np.ndarray, steps: np.ndarray = STEPS) -> np.ndarray:
    """Return a + s·(b - a) + t·(c - a) of latents a, b, c [3, D]: float32 [T, S, D], t falling."""
    a, b, c = latents
    plane = a + steps[:, None] * (b - a) + steps[::-1, None, None] * (c - a)
    return plane.astype(np.float32)


def draw(path: Path) -> None:
    """Draw both planes; the three images' reconstructions have frames."""
    clothes = data.load("fashion-mnist")
    labels = np.asarray(clothes.test.labels)
    rows = [np.flatnonzero(labels == clothes.classes.index(name))[0] for name in CLASSES]
    images = clothes.test.images[rows]
    figure, (panels,) = charts.canvas(9, 4.9, 1, 2)
    count, side = len(STEPS), images.shape[1]
    for axes, engine, name in (
        (panels[0], "undercomplete-ae.onnx", "autoencoder"),
        (panels[1], "vae.onnx", "VAE"),
    ):
        with Pair(engine) as pair:
            plane = cut(pair.encoder.embed(images))
            decoded = pair.decoder().decode(plane.reshape(count**2, -1))
        sheet = decoded.reshape(count, count, side, side).transpose(0, 2, 1, 3)
        low, high = STEPS[0] - 0.125, STEPS[-1] + 0.125
        axes.imshow(
            sheet.reshape(count * side, -1), cmap="gray", vmin=0, vmax=255,
            extent=(low, high, low, high), interpolation="nearest",
        )  # fmt: skip
        for s, t in ((0, 0), (1, 0), (0, 1)):
            corner = (s - 0.125, t - 0.125)
            axes.add_patch(Rectangle(corner, 0.25, 0.25, fill=False, ec=charts.RED, lw=2))
        axes.set(title=name, xticks=[0, 1], yticks=[0, 1])
        axes.set_xlabel("s, from a sneaker to a pullover")
    panels[0].set_ylabel("t, from the sneaker to trousers")
    charts.save(figure, path, colours=24)
