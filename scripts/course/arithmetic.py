"""Arithmetic of latents: the mean of three samples of each kind, as in figure 7 of the DCGAN paper.

Radford, Metz & Chintala 2015 (arXiv:1511.06434), section 6.3.2.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runtime import Classifier, Generator
from zoo import engine_path
from zoo.evaluation.editing_quality import sample_blocks
from zoo.images.rows import Row
from zoo.images.rows import draw as draw_rows

from . import charts

SAMPLES = 4000
EXAMPLES = 3
"""Samples of each kind, whose mean latent is used."""

ATTRIBUTES = ("Sunglasses", "Long_Hair")
KINDS = {
    "sunglasses, long hair": (True, True),
    "no sunglasses, long hair": (False, True),
    "no sunglasses, no long hair": (False, False),
}
"""A, B and C of A - B + C, by whether they have each attribute."""

WANTED = "sunglasses, no long hair"

NOISE = 0.25
"""Half the range of the uniform noise that is added to the result, as in the paper."""

TRIALS = 200


def choose(
    has: np.ndarray, kind: tuple[bool, ...], random: np.random.Generator, count: int = EXAMPLES
) -> np.ndarray:
    """Return `count` random rows of samples whose attributes, bool [n, A], are `kind`."""
    return random.choice(np.flatnonzero((has == kind).all(1)), count, replace=False)


def combine(latents: np.ndarray, rows: list[np.ndarray]) -> np.ndarray:
    """Return mean A - mean B + mean C of rows of latents [n, D]: float32 [D]."""
    a, b, c = (latents[row].mean(0, dtype=np.float64) for row in rows)
    return (a - b + c).astype(np.float32)


def draw(path: Path) -> None:
    """Draw A, B and C, each with its mean, and A - B + C with images around it."""
    engine, judge = engine_path("dcgan-faces.onnx"), engine_path("face-attributes.onnx")
    with Generator(engine) as generator, Classifier(judge) as classifier:
        blocks = list(sample_blocks(generator, ATTRIBUTES, classifier, SAMPLES, 0))
        latents, has = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        random = np.random.default_rng(0)
        trials = [[choose(has, kind, random) for kind in KINDS.values()] for _ in range(TRIALS)]
        results = np.stack([combine(latents, rows) for rows in trials])
        columns = [classifier.names.index(name) for name in ATTRIBUTES]
        made = classifier.classify(generator.decode(results))[:, columns] > 0.5
        share = (made == (True, False)).all(1).mean()
        chance = (has == (True, False)).all(1).mean()
        print(f"{share:.0%} of {TRIALS} results have {WANTED}, and {chance:.0%} of samples")

        rows = []
        for (name, _), chosen in zip(KINDS.items(), trials[0], strict=True):
            mean = latents[chosen].mean(0, keepdims=True)
            tiles = list(generator.decode(np.concatenate([latents[chosen], mean])))
            sign = "-" if name.startswith("no sunglasses, long") else "+"
            rows.append(Row(f"{sign} {name}", tiles, ["", "", "", "mean"]))
        around = results[0] + random.uniform(-NOISE, NOISE, (3, len(results[0])))
        tiles = list(generator.decode(np.stack([results[0], *around]).astype(np.float32)))
        rows.append(Row(f"= {WANTED}", tiles, ["result", "", "", ""]))
    charts.reduce_colours(
        draw_rows(rows, "dcgan-faces: arithmetic of latents", 4), path, colours=192
    )
