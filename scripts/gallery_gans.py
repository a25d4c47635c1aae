"""Draws the figures of the adversarial models for docs/gallery.md; see scripts/gallery.py.

Pictures come from the shipped engines, curves from the metrics of the runs that made them, which
are kept in benchmarks/results/training.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from zoo.training import curves

TRAINING = Path(__file__).resolve().parent.parent / "benchmarks" / "results" / "training"


def draw_all(command: Callable[..., None], out: Path) -> None:
    """Draw all figures into a folder; `command` runs a command of the zoo."""
    command("sample", "--engine", "gan.onnx", "-n", 40, "--out", out / "gan.png")
    command("sample", "--engine", "dcgan.onnx", "-n", 40, "--out", out / "dcgan.png")
    command("sample", "--engine", "cgan.onnx", "-n", 40, "--out", out / "cgan.png")
    command(
        "translate", "--engine", "stargan.onnx", "--data", "faces", "-n", 8,
        "--grid", out / "stargan.png",
    )  # fmt: skip
    curves.draw(TRAINING / "dcgan.jsonl", out / "equilibrium.png")
    command(
        "nearest", "--engine", "dcgan.onnx", "--data", "fashion-mnist",
        "--out", out / "nearest.png",
    )  # fmt: skip
    command(
        "invert", "--engine", "dcgan.onnx", "sample:1", "sample:2", "sample:3", "sample:4",
        "--out", out / "inverted.png",
    )  # fmt: skip
