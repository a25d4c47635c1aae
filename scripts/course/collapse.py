"""Mode collapse of the perceptron GAN over the epochs, and the same with the R1 penalty."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from zoo.images.rows import Row
from zoo.images.rows import draw as draw_rows
from zoo.training.metrics import read_metrics

from . import charts
from .commands import train, write_recipe

EPOCHS = 3
IMAGES = 10_000
"""Images of an epoch."""

COLUMNS = 12


def cut(sheet: np.ndarray, side: int, count: int, columns: int = 10, gap: int = 2) -> np.ndarray:
    """Return the first images [count, side, side, 1] of a sheet of `zoo.training.pictures`."""
    step = side + gap
    places = [divmod(index, columns) for index in range(count)]
    corners = [(gap + row * step, gap + column * step) for row, column in places]
    tiles = [sheet[top : top + side, left : left + side] for top, left in corners]
    return np.stack(tiles)[..., None]


def draw(path: Path) -> None:
    """Train both ways and draw samples of the same latents after every epoch."""
    rows = []
    for r1, name in ((0, "without a penalty"), (1, "R1 penalty, γ = 1")):
        with tempfile.TemporaryDirectory() as folder:
            out, recipe = Path(folder) / "run", Path(folder) / "recipe.toml"
            write_recipe(recipe, "gan", IMAGES)
            options = ("--set", f"adversarial.r1={r1}", "--set", "adversarial.fid_images=1000")
            train("gan", out, "--recipe", recipe, "--epochs", EPOCHS, *options)
            lines = read_metrics(out / "metrics.jsonl")
            for epoch in range(1, EPOCHS + 1):
                sheet = np.asarray(Image.open(out / "pictures" / f"epoch-{epoch:03d}.png"))
                tiles = list(cut(sheet[::2, ::2], 28, COLUMNS))
                rows.append(Row(_heading(name, lines[epoch - 1]), tiles, [""] * COLUMNS))
    picture = draw_rows(rows, "gan: samples of the same latents", COLUMNS)
    charts.reduce_colours(picture, path)


def _heading(name: str, line: dict[str, float]) -> str:
    shown, classes = IMAGES * line["epoch"], 10 * line["modes"]
    return (
        f"{name}, after {shown:,} images: {classes:.0f} of 10 classes, samples "
        f"{line['pair_distance']:.2f} times as far apart as real images"
    )
