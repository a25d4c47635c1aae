"""Plots of a run's equilibrium."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from zoo.training import curves

LINES = [
    {"epoch": 1, "train_real_probability": 0.9, "train_fake_probability": 0.1},
    {"epoch": 2, "train_real_probability": 0.6, "train_fake_probability": 0.4, "fid": 30.0},
    {"epoch": 3, "train_real_probability": 0.5, "train_fake_probability": 0.5, "fid": 20.0},
]


def write(path: Path, lines: list[dict[str, float]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_draws_what_there_is(tmp_path: Path) -> None:
    both = tmp_path / "both.png"
    assert curves.draw(write(tmp_path / "a.jsonl", LINES), both)
    alone = tmp_path / "alone.png"
    assert curves.draw(write(tmp_path / "b.jsonl", LINES[:1] * 2), alone)
    # The Fréchet distance has axes of its own, on the right.
    assert pixels(both).shape[1] > 1.8 * pixels(alone).shape[1]
    other = [dict(LINES[0]), {**LINES[1], "train_real_probability": 0.3}, LINES[2]]
    assert curves.draw(write(tmp_path / "c.jsonl", other), tmp_path / "c.png")
    assert not np.array_equal(pixels(both), pixels(tmp_path / "c.png"))


def test_nothing_of_a_run_without_a_discriminator(tmp_path: Path) -> None:
    out = tmp_path / "none.png"
    assert not curves.draw(write(tmp_path / "a.jsonl", [{"epoch": 1, "train_loss": 2.0}]), out)
    assert not curves.draw(tmp_path / "missing.jsonl", out)
    assert not out.exists()
