"""Overfitting of a discriminator to few images: its scores of images that it has and has not seen.

Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020
(arXiv:2006.06676), figure 1.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from zoo import data
from zoo.training.metrics import read_metrics

from . import charts
from .commands import train, write_recipe

SEEN = 30_000
"""Images that each run is trained on, with repetitions."""

EPOCHS = 10
"""Number of measurements."""

COUNTS = (500, 50_000)


def write_subset(path: Path, count: int) -> None:
    """Write the first training images of Fashion-MNIST and its other splits as a data set."""
    clothes = data.load("fashion-mnist")
    np.savez(
        path,
        train_images=clothes.train.images[:count],
        validation_images=clothes.validation.images,
        test_images=clothes.test.images,
    )


def measure(count: int) -> list[dict[str, Any]]:
    """Train the perceptron GAN on that many images, and return what each epoch measures."""
    with tempfile.TemporaryDirectory() as folder:
        subset, recipe = Path(folder) / "subset.npz", Path(folder) / "recipe.toml"
        write_subset(subset, count)
        write_recipe(recipe, "gan", SEEN // EPOCHS)
        out = Path(folder) / "run"
        settings = ("r1=0.1", "r1_every=8", "fid_images=0")
        options = [part for name in settings for part in ("--set", f"adversarial.{name}")]
        train("gan", out, "--recipe", recipe, "--data", subset, "--epochs", EPOCHS, *options)
        return read_metrics(out / "metrics.jsonl")


def draw(path: Path) -> None:
    """Draw the mean scores of training, held-out and generated images for each number of images."""
    figure, (panels,) = charts.canvas(9, 3.6, 1, len(COUNTS), sharey=True)
    for axes, count in zip(panels, COUNTS, strict=True):
        lines = measure(count)
        seen = np.arange(1, len(lines) + 1) * SEEN / EPOCHS / 1000
        for name, label, color in (
            ("train_score", "training images", charts.BLUE),
            ("held_out_score", "held-out images", charts.GREEN),
            ("fake_score", "samples", charts.RED),
        ):
            axes.plot(seen, [line[name] for line in lines], color=color, label=label)
        axes.axhline(0, color=charts.GREY, ls="--", lw=1)
        axes.grid(alpha=0.25)
        overfitting = lines[-1]["overfitting"]
        axes.set(
            title=f"{count:,} training images, r_v = {overfitting:.2f}",
            xlabel="thousands of images shown",
        )
    panels[0].set_ylabel("mean score, logit of D(x)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    charts.save(figure, path)
