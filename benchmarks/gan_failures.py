"""How the training of GANs fails: mode collapse, and overfitting to few images.

Studies of `python -m benchmarks.gans`; the figures are drawn by `python -m scripts.course`.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from PIL import Image

from benchmarks import studies
from zoo import data as sets
from zoo.models import registry
from zoo.training.loop import Trainer
from zoo.training.metrics import read_metrics
from zoo.training.recipe import FOLDER, Recipe, load_recipe
from zoo.training.task import make_task

EPOCH = 15_000
"""Images between two measurements of `overfitting`."""

FEW = 250
"""Images of the smallest training set, on which a penalty is tried."""

RUNS: tuple[tuple[int, float], ...] = ((FEW, 0.0), (55_000, 0.0), (5_000, 0.0), (FEW, 3.0))
"""Numbers of training images, and γ of the R1 penalty."""


def train(name: str, recipe: Recipe, loaded: sets.DataSet) -> tuple[list[dict[str, Any]], Any]:
    """Train a model; return each epoch's metrics, and its first ten samples as strips.

    The samples are of the same latents in every epoch: uint8 [epochs, H', W'], with white gaps.
    """
    entry = registry.get(name)
    torch.manual_seed(recipe.seed)
    shape = {"image_size": loaded.image_size, "channels": loaded.channels}
    model = entry.make({**recipe.model, **shape})
    with tempfile.TemporaryDirectory() as folder:
        out, task = Path(folder), make_task(entry, recipe)
        Trainer(name, model, task, loaded, recipe, out, cpu=True, quiet=True).run()
        sheets = [
            np.asarray(Image.open(path))[::2, ::2]
            for path in sorted((out / "pictures").glob("epoch-*.png"))
        ]
        return read_metrics(out / "metrics.jsonl"), np.stack(sheets)[:, : loaded.image_size + 4]


def collapse(settings: dict[str, Any]) -> dict[str, Any]:
    """Train the perceptron GAN with and without the R1 penalty; return each epoch's measures.

    Writes the samples of both runs into gans-collapse.png, a strip for each epoch.
    """
    rows, strips = [], []
    for r1 in (0.0, 1.0):
        recipe = load_recipe(FOLDER / "gan.toml")
        recipe = replace(
            recipe,
            epochs=settings["epochs"] or 15,
            epoch_images=0,
            learning_rate=2e-4,
            adversarial={"loss": "nonsaturating", "r1": r1},
        )
        lines, samples = train("gan", recipe, sets.load(recipe.data))
        strips.append(samples)
        measures = ("fid", "modes", "pair_distance", "nearest_distance")
        rows += [
            {"r1": r1, "epoch": line["epoch"], **{name: line[name] for name in measures}}
            | {"notes": line.get("notes", [])}
            for line in lines
        ]
    sheet = np.concatenate(strips).reshape(-1, strips[0].shape[-1])
    Image.fromarray(sheet).save(studies.RESULTS / "gans-collapse.png", optimize=True)
    return {"rows": rows}


def overfitting(settings: dict[str, Any]) -> dict[str, Any]:
    """Train a DCGAN of half the width on few and many images; return each epoch's measures.

    All runs see as many images, those on few the same ones more often.
    """
    loaded, rows = sets.load("fashion-mnist", size=32), []
    base = load_recipe(
        FOLDER / "dcgan.toml",
        {
            "epochs": settings["epochs"] or 10,
            "epoch_images": EPOCH,
            "schedule": "constant",
            "model": {"widths": [64, 32, 16], "discriminator_widths": [16, 32, 64]},
            "adversarial": {"fid_images": 1000, "r1_every": 4},
        },
    )
    measures = ("train_score", "held_out_score", "fake_score", "overfitting", "fid")
    for count, r1 in RUNS:
        few = sets.Split(loaded.train.images[:count], loaded.train.labels[:count])
        recipe = replace(base, adversarial={**base.adversarial, "r1": r1})
        for line in train("dcgan", recipe, replace(loaded, train=few))[0]:
            rows.append(
                {"images": count, "r1": r1, "seen": line["epoch"] * EPOCH}
                | {name: line[name] for name in measures}
            )
        click.echo(f"{rows[-1]}")
    return {"rows": rows}
