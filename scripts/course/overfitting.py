"""Overfitting of a discriminator to few images, and what it costs the generator.

Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020
(arXiv:2006.06676), figure 1. From the results of `python -m benchmarks.gans overfitting`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import charts

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "gans-overfitting.json"

SCORES = {
    "train_score": ("training images", charts.BLUE),
    "held_out_score": ("held-out images", charts.GREEN),
    "fake_score": ("samples", charts.RED),
}

Run = list[dict[str, Any]]


def read_runs() -> dict[tuple[int, float], Run]:
    """Return the measures of each epoch by the number of images and γ of the R1 penalty.

    Runs without the penalty come first, those of few images before those of many.
    """
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]
    runs = sorted({(row["r1"], row["images"]) for row in rows})
    return {
        (images, r1): [row for row in rows if (row["images"], row["r1"]) == (images, r1)]
        for r1, images in runs
    }


def name(images: int, r1: float) -> str:
    """Return the name of a run."""
    return f"{images:,} images" + (f", R1 with γ = {r1:g}" if r1 else "")


def draw(path: Path) -> None:
    """Draw the scores of every run, and over all runs r_v and the Fréchet distance."""
    runs = read_runs()
    figure, panels = charts.canvas(10, 6.4, 2, 3)
    *alone, overfitting, distance = panels.flat
    for axes, (key, rows) in zip(alone, runs.items(), strict=True):
        for score, (label, color) in SCORES.items():
            _plot(axes, rows, score, color=color, label=label)
        axes.set_title(name(*key), fontsize=11)
        if not key[1]:  # scores with the penalty are far smaller
            axes.sharey(alone[0])
    colours = (charts.RED, charts.GREEN, charts.BLUE, charts.GREY)
    for (key, rows), color in zip(runs.items(), colours, strict=True):
        _plot(overfitting, rows, "overfitting", color=color, label=name(*key))
        _plot(distance, rows, "fid", color=color)
    overfitting.set(ylabel="overfitting, r_v", ylim=(-0.1, 1.15))
    distance.set(ylabel="Fréchet distance to held-out images", ylim=(0, None))
    for axes in panels[:, 0]:
        axes.set_ylabel("mean score, logit of D(x)")
    for axes in panels.flat:
        axes.grid(alpha=0.25)
    for axes in panels[1]:
        axes.set_xlabel("thousands of images shown")
    alone[0].legend(frameon=False, fontsize=9)
    overfitting.legend(frameon=False, fontsize=9)
    charts.save(figure, path)


def _plot(axes: Any, rows: Run, measure: str, **options: Any) -> None:
    seen = [row["seen"] / 1000 for row in rows]
    axes.plot(seen, [row[measure] for row in rows], ".-", **options)
