"""Anomalies: images that an autoencoder trained on normal ones cannot reconstruct.

The score of an image is its reconstruction error (Sakurada & Yairi, "Anomaly
Detection Using Autoencoders with Nonlinear Dimensionality Reduction", MLSDA
2014): the mean squared difference between the image and decoder(encoder(image)),
over all pixels and channels, of values in [0, 1].
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ConfigError
from zoo.inference.latents import reconstruct
from zoo.optional import require

if TYPE_CHECKING:
    from runtime import Encoder, Generator
    from zoo.images.rows import Row

Images = NDArray[np.uint8]

_ROWS = 256
_UNIT = 255.0**2

# Black, violet, red, orange, pale yellow: darker is less in grey, too.
_COLORS = np.array(
    [(0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164)]
)


def scores(encoder: Encoder, generator: Generator, images: Images) -> NDArray[np.float64]:
    """Anomaly score of each of images uint8 [n, H, W, C]: float64 [n], 0 to 1, higher is odder.

    Raises runtime.errors.ArgumentError for another shape or dtype.
    """
    return errors(images, reconstruct(encoder, generator, images))


def errors(images: Images, reconstructions: Images) -> NDArray[np.float64]:
    """Mean squared error of each image, float64 [n], of values in [0, 1]."""
    found = np.empty(len(images))
    for start in range(0, len(images), _ROWS):
        rows = slice(start, start + _ROWS)
        # In integers, so that the order of the sum changes nothing.
        difference = images[rows].astype(np.int64) - reconstructions[rows]
        found[rows] = np.square(difference).sum((1, 2, 3)) / (images[0].size * _UNIT)
    return found


def threshold(normal_scores: NDArray[Any], fpr: float) -> float:
    """The smallest t such that the share of normal scores > t is at most `fpr`.

    Raises ConfigError for an fpr outside of 0 … 1 (1 excluded), and for no scores.
    """
    count = len(normal_scores)
    if not 0 <= fpr < 1:
        raise ConfigError(f"fpr: expected at least 0 and less than 1, got {fpr:g}")
    if not count or not np.isfinite(normal_scores).all():
        raise ConfigError("normal_scores: expected at least one, and finite numbers")
    allowed = min(math.floor(fpr * count), count - 1)
    # fpr * count is rounded; the shares that the promise is about are allowed / count.
    while allowed + 1 < count and (allowed + 1) / count <= fpr:
        allowed += 1
    while allowed / count > fpr:
        allowed -= 1
    return float(np.sort(normal_scores)[count - 1 - allowed])


def roc_auc(anomaly_scores: NDArray[Any], anomalous: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: how often an anomalous image scores higher than a normal one.

    Both [n]; ties count half. Raises ConfigError unless both kinds are there.
    """
    if anomaly_scores.shape != anomalous.shape or anomalous.all() or not anomalous.any():
        raise ConfigError(
            "anomalous: expected one truth value a score, some true and some false, got "
            f"{np.count_nonzero(anomalous)} true of {anomalous.size} for {anomaly_scores.size}"
        )
    return float(require("sklearn.metrics").roc_auc_score(anomalous, anomaly_scores))


def true_positive_rate(anomalous_scores: NDArray[Any], limit: float) -> float:
    """Share of the scores of anomalous images that are above the threshold `limit`."""
    return float(np.mean(np.asarray(anomalous_scores) > limit))


def heat_map(image: Images, reconstruction: Images) -> NDArray[np.float64]:
    """Where an image [H, W, C] differs from its reconstruction: float64 [H, W], 0 to 1.

    The squared error of each pixel, the mean over its channels of values in
    [0, 1], smoothed by two passes of the weights ¼, ½, ¼ along both axes.
    """
    difference = image.astype(np.float64) - reconstruction
    heat = np.square(difference).mean(axis=2) / _UNIT
    for _ in range(4):
        heat = _blurred(heat).T
    return heat


def heat_colors(heat: NDArray[Any], most: float) -> Images:
    """Colours uint8 [..., 3] of heat [...] from 0 (black) to `most` and above (pale yellow)."""
    place = np.clip(np.asarray(heat) / (most or 1), 0, 1) * (len(_COLORS) - 1)
    channels = [np.interp(place, np.arange(len(_COLORS)), channel) for channel in _COLORS.T]
    return np.round(np.stack(channels, axis=-1)).astype(np.uint8)


@dataclass(frozen=True, order=True)
class Found:
    """An image with its reconstruction, both uint8 [H, W, C], and its score; ordered by that."""

    score: float
    order: int
    name: str = field(compare=False)
    image: Images = field(compare=False)
    reconstruction: Images = field(compare=False)


class Highest:
    """Keeps the `count` images of highest score of any number that go by, equals in order."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._heap: list[Found] = []
        self._seen = 0

    def offer(
        self, found: NDArray[np.float64], names: list[str], images: Images, made: Images
    ) -> None:
        """The next images, their scores [n], names, and reconstructions; kept ones are copied."""
        for i in np.argsort(-found, kind="stable")[: self._count]:
            entry = Found(
                float(found[i]), -(self._seen + int(i)), names[i], images[i].copy(), made[i].copy()
            )
            if len(self._heap) < self._count:
                heapq.heappush(self._heap, entry)
            elif not self._heap[0] < entry:
                break
            else:
                heapq.heapreplace(self._heap, entry)
        self._seen += len(found)

    def sorted(self) -> list[Found]:
        """What was kept, the highest score first."""
        return sorted(self._heap, reverse=True)


def rows(worst: list[Found]) -> list[Row]:
    """For zoo.images.rows: images, their reconstructions, and heat maps on one scale."""
    from zoo.images.rows import COLUMNS, Row, shortened

    heats = [heat_map(one.image, one.reconstruction) for one in worst]
    most = max(float(heat.max()) for heat in heats)
    made = []
    for start in range(0, len(worst), COLUMNS):
        band = worst[start : start + COLUMNS]
        made += [
            Row(
                "images, and their scores",
                [one.image for one in band],
                [f"{one.score:.4f}" for one in band],
            ),
            Row(
                "reconstructions",
                [one.reconstruction for one in band],
                [shortened(one.name) for one in band],
            ),
            Row(
                f"squared error of each pixel, smoothed: from 0 to {most:.2f}",
                [heat_colors(heat, most) for heat in heats[start : start + COLUMNS]],
                [""] * len(band),
                heat_colors(np.linspace(0, 1, 128), 1),
            ),
        ]
    return made


def _blurred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smoothed along the first axis; the border repeats, so that an even field stays even."""
    padded = np.pad(values, ((1, 1), (0, 0)), "edge")
    return padded[:-2] / 4 + values / 2 + padded[2:] / 4


__all__ = [
    "Found",
    "Highest",
    "errors",
    "heat_colors",
    "heat_map",
    "reconstruct",
    "roc_auc",
    "rows",
    "scores",
    "threshold",
    "true_positive_rate",
]
