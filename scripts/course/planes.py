"""The latent plane of an autoencoder with two latent values, and places off its clusters."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import torch
from matplotlib.lines import Line2D
from torch import nn

from zoo import data
from zoo.models.weights import load_run
from zoo.training.task import to_unit_range

from . import charts, commands

OFF = 4
"""Number of places far from all latents that are decoded."""


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


def train(epochs: int = 6) -> Plane:
    """Train an undercomplete autoencoder with two latent values."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        options = ("--latent", 2, "--set", "hidden=[256, 64]", "--epochs", epochs)
        commands.train("undercomplete-ae", out, *options)
        model, _ = load_run(out)
    return Plane(model, embed(model, data.load("fashion-mnist").test.images))


@torch.no_grad()
def embed(model: nn.Module, images: np.ndarray) -> np.ndarray:
    """Return h of images uint8 [n, H, W, C]: float32 [n, 2]."""
    parts = []
    for start in range(0, len(images), 500):
        block = to_unit_range(torch.tensor(images[start : start + 500]))
        parts.append(model.encoder(block).numpy())
    return np.concatenate(parts)


def bounds(latents: np.ndarray) -> np.ndarray:
    """Return the lowest and highest values of all but 2 % of latents [n, 2]: [2, 2]."""
    return np.quantile(latents, (0.01, 0.99), axis=0)


def find_gaps(latents: np.ndarray, count: int = OFF) -> np.ndarray:
    """Return places [count, 2] within `bounds` that are far from all latents and from each other.

    Each is the place of a lattice with the greatest distance to the latents [n, 2] and to the
    places chosen before, in units of the bounds.
    """
    low, high = bounds(latents)
    known = (latents - low) / (high - low)
    steps = np.linspace(0, 1, 60)
    lattice = np.stack(np.meshgrid(steps, steps), axis=2).reshape(-1, 2)
    distance = np.min(
        [
            np.linalg.norm(lattice - latent, axis=1)
            for latent in known[:: max(1, len(known) // 2000)]
        ],
        axis=0,
    )
    chosen: list[np.ndarray] = []
    for _ in range(count):
        chosen.append(lattice[distance.argmax()])
        distance = np.minimum(distance, np.linalg.norm(lattice - chosen[-1], axis=1))
    return low + np.array(chosen) * (high - low)


def draw(path: Path) -> None:
    """Draw the autoencoder's latents, and what it decodes at places among them and away."""
    plane = train()
    clothes = data.load("fashion-mnist")
    labels = np.asarray(clothes.test.labels)
    low, high = bounds(plane.latents)
    figure, ((axes,),) = charts.canvas(8, 5.4, 1, 1)
    _scatter(axes, plane.latents, labels)
    middles = np.stack(
        [np.median(plane.latents[labels == label], axis=0) for label in range(len(clothes.classes))]
    )
    gaps = find_gaps(plane.latents)
    colours = matplotlib.colormaps["tab10"].colors
    for place, image, colour in zip(middles, plane.decode(middles), colours, strict=True):
        charts.place_image(axes, image, tuple(place), color=colour)
    for place, image in zip(gaps, plane.decode(gaps), strict=True):
        charts.place_image(axes, image, tuple(place), color="black", zoom=2)
    margin = 0.08 * (high - low)
    axes.set(
        xlim=(low[0] - margin[0], high[0] + margin[0]),
        ylim=(low[1] - margin[1], high[1] + margin[1]),
        xlabel="latent value 0", ylabel="latent value 1",
    )  # fmt: skip
    _legend(figure, clothes.classes)
    charts.save(figure, path)


def _scatter(axes: Any, latents: np.ndarray, labels: np.ndarray) -> None:
    colours = np.array(matplotlib.colormaps["tab10"].colors)
    order = np.random.default_rng(0).permutation(len(latents))[:4000]
    axes.scatter(*latents[order].T, s=4, c=colours[labels[order]], alpha=0.6, linewidths=0)


def _legend(figure: Any, classes: list[str]) -> None:
    colours = matplotlib.colormaps["tab10"].colors
    handles = [
        Line2D([], [], marker="o", ls="", color=colour, label=name)
        for colour, name in zip(colours, classes, strict=True)
    ]
    figure.legend(handles=handles, loc="outside center right", frameon=False, fontsize=9)
