"""Precision at k of image retrieval by latents and by raw pixels."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import Encoder
from zoo.errors import ConfigError
from zoo.inference.inputs import Source
from zoo.inference.latents import embed_blocks, pixels
from zoo.optional import require
from zoo.tables import align_columns


@dataclass(frozen=True)
class Precision:
    """Precision at k in one space: the share of the k nearest images with the query's class.

    width: values per image; by_class: float64 [K], NaN for a class without queries; mean: over all
    queries; seconds: total time of the search.
    """

    name: str
    width: int
    by_class: NDArray[np.float64]
    mean: float
    seconds: float


def evaluate(
    encoder: Encoder,
    train: Source,
    queries: Source,
    k: int,
    seen: Callable[[int], None] = lambda count: None,
) -> list[Precision]:
    """Measure precision at k of `queries` among `train`, with exact search in latents and pixels.

    Distances are Euclidean. Raises ConfigError for sources without labels, a k above the number of
    `train`, or a missing faiss, and as `embed_blocks`.
    """
    faiss = require("faiss")
    if train.labels is None or queries.labels is None:
        raise ConfigError(f"{train.name} has no classes, which precision needs")
    if not 1 <= k <= len(train.labels):
        raise ConfigError(f"k: expected 1 to {len(train.labels)}, the images searched, got {k}")
    spaces = {"latents": encoder.latent_width, "pixels": math.prod(encoder.image_shape)}
    indexes = {name: faiss.IndexFlatL2(width) for name, width in spaces.items()}
    for latents, block in embed_blocks(encoder, train):
        indexes["latents"].add(latents)
        indexes["pixels"].add(pixels(block.images))
        seen(len(latents))
    right: dict[str, list[NDArray[np.float64]]] = {name: [] for name in spaces}
    seconds = dict.fromkeys(spaces, 0.0)
    done = 0
    for latents, block in embed_blocks(encoder, queries):
        labels = queries.labels[done : done + len(latents), None]
        for name, vectors in (("latents", latents), ("pixels", pixels(block.images))):
            start = time.perf_counter()
            rows: NDArray[Any] = indexes[name].search(vectors, k)[1]
            seconds[name] += time.perf_counter() - start
            right[name].append((train.labels[rows] == labels).mean(axis=1))
        done += len(latents)
        seen(len(latents))
    classes = queries.labels[:done]
    return [
        _summarise(name, width, np.concatenate(right[name]), classes, seconds[name])
        for name, width in spaces.items()
    ]


def _summarise(
    name: str, width: int, right: NDArray[np.float64], labels: NDArray[np.int64], seconds: float
) -> Precision:
    counts = np.bincount(labels)
    with np.errstate(invalid="ignore"):
        by_class = np.bincount(labels, weights=right) / counts
    return Precision(name, width, by_class, float(right.mean()), seconds)


def table(spaces: list[Precision], classes: list[str], queries: int) -> list[str]:
    """Format precision by class and over all, and queries per second, with a column per space."""
    names = [classes[i] if i < len(classes) else str(i) for i in range(len(spaces[0].by_class))]
    rows = [["class", *(f"{space.name} ({space.width:,})" for space in spaces)]]
    for i, name in enumerate(names):
        if not math.isnan(spaces[0].by_class[i]):
            rows.append([name, *(f"{space.by_class[i]:.3f}" for space in spaces)])
    rows.append(["all", *(f"{space.mean:.3f}" for space in spaces)])
    rows.append(["queries/s", *(f"{queries / space.seconds:,.0f}" for space in spaces)])
    return align_columns(rows, right=range(1, len(spaces) + 1))
