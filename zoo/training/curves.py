"""Plots of an adversarial run: the discriminator's outputs, and the quality of samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.images.atomic import replace_file
from zoo.training.metrics import read_metrics

_BELIEFS = (
    ("train_real_probability", "D(x), training images", "tab:blue"),
    ("train_fake_probability", "D(G(z)), samples", "tab:orange"),
)


def draw(metrics: Path, out: Path) -> bool:
    """Plot D(x) and D(G(z)) over the epochs, with the equilibrium ½, and the Fréchet distance.

    Reads the `metrics.jsonl` of a run. Returns False, without a plot, if matplotlib is not
    installed or the run has no discriminator.
    """
    lines = [line for line in read_metrics(metrics) if _BELIEFS[0][0] in line]
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    if not lines:
        return False
    measured = [line for line in lines if "fid" in line]
    figure = Figure(figsize=(5.2 * (2 if measured else 1), 3.4), layout="constrained")
    axes = figure.subplots(1, 2 if measured else 1, squeeze=False)[0]
    epochs = [line["epoch"] for line in lines]
    for name, label, colour in _BELIEFS:
        axes[0].plot(epochs, [line[name] for line in lines], color=colour, label=label)
    axes[0].axhline(0.5, color="0.6", linewidth=1, linestyle="--", label="equilibrium, ½")
    _finish(axes[0], "probability of being real", (0, 1))
    axes[0].legend(frameon=False, fontsize=9, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))
    if measured:
        values = [line["fid"] for line in measured]
        axes[1].plot([line["epoch"] for line in measured], values, color="tab:green")
        _finish(axes[1], "Fréchet distance, small sample", (0, None))
    with replace_file(out) as temporary:
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": ""})
    return True


def _finish(axis: Any, label: str, limits: tuple[float, float | None]) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("epoch")
    axis.set_ylabel(label)
    axis.set_ylim(*limits)
    axis.spines[["top", "right"]].set_visible(False)
