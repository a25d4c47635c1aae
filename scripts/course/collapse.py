"""Mode collapse of the perceptron GAN over the epochs, and the same with the R1 penalty.

From the results of `python -m benchmarks.gans collapse`.
"""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.ticker import MaxNLocator

from . import charts

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "gans-collapse.json"


def read_runs() -> dict[float, list[dict[str, float]]]:
    """Return the measures of each epoch by γ of the run."""
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]
    weights = sorted({row["r1"] for row in rows})
    return {weight: [row for row in rows if row["r1"] == weight] for weight in weights}


def draw(path: Path) -> None:
    """Draw the classes of the samples and the distances between samples over the epochs."""
    figure, (panels,) = charts.canvas(9, 3.4, 1, 2)
    for (weight, rows), color in zip(read_runs().items(), (charts.RED, charts.BLUE), strict=True):
        label = f"R1 penalty, γ = {weight:g}" if weight else "without a penalty"
        epochs = [row["epoch"] for row in rows]
        for axes, name, scale in ((panels[0], "modes", 10), (panels[1], "nearest_distance", 1)):
            axes.plot(epochs, [scale * row[name] for row in rows], "o-", color=color, label=label)
    panels[0].set(ylabel="classes with samples, of 10", ylim=(0, 10.5))
    panels[1].set(ylabel="distance to the nearest sample,\nrelative to real images", ylim=(0, 1.05))
    panels[1].axhline(1, color=charts.GREY, ls="--", lw=1)
    panels[0].legend(frameon=False, loc="lower right")
    for axes in panels:
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
    charts.save(figure, path)
