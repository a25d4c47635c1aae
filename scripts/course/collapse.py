"""Mode collapse of the perceptron GAN over the epochs, and the same with the R1 penalty.

From the results of `python -m benchmarks.gans collapse`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator
from PIL import Image

from . import charts

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "gans-collapse.json"
SAMPLES = RESULTS.with_suffix(".png")
SHOWN = (1, 2, 3, 5, 10)
"""Epochs whose samples are drawn."""

MARGIN = 2
"""White pixels around a strip of samples."""


def read_runs() -> dict[float, list[dict[str, float]]]:
    """Return the measures of each epoch by γ of the run."""
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]
    weights = sorted({row["r1"] for row in rows})
    return {weight: [row for row in rows if row["r1"] == weight] for weight in weights}


def label(weight: float) -> str:
    """Return the name of a run by its γ."""
    return f"R1 penalty, γ = {weight:g}" if weight else "without a penalty"


def read_samples() -> np.ndarray:
    """Return the samples of each run and epoch as strips uint8 [runs, epochs, H, W, 1]."""
    runs = read_runs()
    epochs = len(next(iter(runs.values())))
    with Image.open(SAMPLES) as sheet:
        strips = np.asarray(sheet).reshape(len(runs), epochs, -1, sheet.width, 1)
    return strips[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN]


def draw_samples(path: Path) -> None:
    """Draw samples of the same latents after some epochs of both runs."""
    strips = read_samples()[:, [epoch - 1 for epoch in SHOWN]].swapaxes(0, 1)
    rows = [f"epoch {epoch}" for epoch in SHOWN]
    charts.save(charts.draw_table(strips, rows, list(map(label, read_runs()))), path, colours=32)


def draw(path: Path) -> None:
    """Draw the classes of the samples and the distances between samples over the epochs."""
    figure, (panels,) = charts.canvas(9, 3.4, 1, 2)
    for (weight, rows), color in zip(read_runs().items(), (charts.RED, charts.BLUE), strict=True):
        epochs = [row["epoch"] for row in rows]
        for axes, name, scale in ((panels[0], "modes", 10), (panels[1], "nearest_distance", 1)):
            axes.plot(
                epochs, [scale * row[name] for row in rows], "o-", color=color, label=label(weight)
            )
    panels[0].set(ylabel="classes with samples, of 10", ylim=(0, 10.5))
    panels[1].set(ylabel="distance to the nearest sample,\nrelative to real images", ylim=(0, 1.05))
    panels[1].axhline(1, color=charts.GREY, ls="--", lw=1)
    panels[0].legend(frameon=False, loc="lower right")
    for axes in panels:
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
    charts.save(figure, path)
