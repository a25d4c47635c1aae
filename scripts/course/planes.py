"""Latent planes of an autoencoder and a VAE with two latent values, and what they decode to."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import torch
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from torch import nn

from runtime import Classifier
from zoo import data, engine_path
from zoo.models.weights import load_run
from zoo.training.task import to_unit_range

from . import charts, commands

MODELS: dict[str, tuple[object, ...]] = {
    "undercomplete-ae": ("--set", "hidden=[256, 64]"),
    "vae": ("--set", "widths=[32, 16]", "--set", "encoder_widths=[16, 32]"),
}
"""Options of the trainings."""

EPOCHS = 6
SIDE = 11
"""Places in a row and in a column of a decoded plane."""

DRAWN = 2000
"""Latents drawn from N(0, I), to measure what they decode to."""

RADIUS = math.sqrt(-2 * math.log(0.05))
"""Radius of the circle that holds 95 % of N(0, I)."""

SURE = 0.5
"""Least probability of a class, by the classifier, of an image that shows it."""


class Plane(NamedTuple):
    """A trained model with two latent values, and the latents [n, 2] of the test images."""

    model: Any
    latents: np.ndarray

    def decode(self, places: np.ndarray) -> np.ndarray:
        """Return the images uint8 [n, H, W, 1] of latents [n, 2]."""
        with torch.no_grad():
            images = self.model.decoder(torch.tensor(places, dtype=torch.float32))
        levels = (images.clamp(0, 1) * 255 + 0.5).floor().to(torch.uint8)
        return levels.permute(0, 2, 3, 1).numpy()


def train(name: str) -> Plane:
    """Train a model of `MODELS` with two latent values."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        commands.train(name, out, "--latent", 2, *MODELS[name], "--epochs", EPOCHS)
        model, _ = load_run(out)
    return Plane(model, embed(model, data.load("fashion-mnist").test.images))


@torch.no_grad()
def embed(model: nn.Module, images: np.ndarray) -> np.ndarray:
    """Return h, or μ of a VAE, of images uint8 [n, H, W, C]: float32 [n, 2]."""
    parts = []
    for start in range(0, len(images), 500):
        encoded = model.encoder(to_unit_range(torch.tensor(images[start : start + 500])))
        parts.append((encoded[0] if isinstance(encoded, tuple) else encoded).numpy())
    return np.concatenate(parts)


def bounds(latents: np.ndarray) -> np.ndarray:
    """Return the lowest and highest values of all but 2 % of latents [n, 2]: [2, 2]."""
    return np.quantile(latents, (0.01, 0.99), axis=0)


def lattice(latents: np.ndarray, side: int) -> np.ndarray:
    """Return places float32 [side², 2] in the middles of a lattice's cells within `bounds`.

    They are in the order of pixels: from left to right, then from top to bottom.
    """
    low, high = bounds(latents)
    steps = (np.arange(side) + 0.5) / side
    places = np.stack(np.meshgrid(steps, steps[::-1]), axis=2).reshape(-1, 2)
    return (low + places * (high - low)).astype(np.float32)


def is_unclear(classifier: Classifier, images: np.ndarray) -> np.ndarray:
    """Return whether images uint8 [n, H, W, 1] are of no class: bool [n]."""
    unclear: np.ndarray = classifier.classify(images).max(1) < SURE
    return unclear


def draw(path: Path) -> None:
    """Draw the latents of both models, and the images that their planes decode to."""
    clothes = data.load("fashion-mnist")
    labels = np.asarray(clothes.test.labels)
    drawn = np.random.default_rng(0).normal(size=(DRAWN, 2))
    figure, panels = charts.canvas(8.4, 7.8, 2, 2)
    with Classifier(engine_path("fashion-classifier.onnx")) as classifier:
        for (left, right), name in zip(panels, MODELS, strict=True):
            plane = train(name)
            _scatter(left, plane.latents, labels)
            _draw_tiles(right, plane)
            for axes in (left, right):
                axes.add_patch(Circle((0, 0), RADIUS, fill=False, ec=charts.RED, lw=1.5))
            for what, places in (("N(0, I)", drawn), ("the latents", plane.latents)):
                share = is_unclear(classifier, plane.decode(places)).mean()
                print(f"{name}: {share:.1%} of {what} decode to no class")
            left.set(title=f"{name}: latents of test images", ylabel="latent value 1")
            right.set_title("what they decode to")
    for axes in panels[-1]:
        axes.set_xlabel("latent value 0")
    _legend(figure, clothes.classes)
    charts.save(figure, path, colours=64)


def _draw_tiles(axes: Any, plane: Plane) -> None:
    """Draw the images of a lattice, in 16 grey levels, which leaves room for other colours."""
    images = plane.decode(lattice(plane.latents, SIDE)) // 17 * 17
    pixels = images.shape[1]
    sheet = images.reshape(SIDE, SIDE, pixels, pixels).transpose(0, 2, 1, 3)
    (left, bottom), (right, top) = bounds(plane.latents)
    axes.imshow(
        sheet.reshape(SIDE * pixels, -1), cmap="gray", vmin=0, vmax=255, aspect="auto",
        extent=(left, right, bottom, top), interpolation="nearest",
    )  # fmt: skip


def _scatter(axes: Any, latents: np.ndarray, labels: np.ndarray) -> None:
    """Draw latents within `bounds` by class."""
    (left, bottom), (right, top) = bounds(latents)
    colours = np.array(matplotlib.colormaps["tab10"].colors)
    order = np.random.default_rng(0).permutation(len(latents))[:3000]
    points = latents[order].T
    axes.scatter(*points, s=3, c=colours[labels[order]], marker="s", linewidths=0, snap=True)
    axes.set(xlim=(left, right), ylim=(bottom, top))


def _legend(figure: Any, classes: list[str]) -> None:
    colours = matplotlib.colormaps["tab10"].colors
    handles = [
        Line2D([], [], marker="o", ls="", color=colour, label=name)
        for colour, name in zip(colours, classes, strict=True)
    ]
    handles.append(Line2D([], [], color=charts.RED, lw=1.5, label="95 % of N(0, I)"))
    figure.legend(handles=handles, loc="outside lower center", frameon=False, ncols=6)
