"""Selection and drawing of the images with the highest anomaly scores."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.images.rows import COLUMNS, Row
from zoo.images.text import shorten

Images = NDArray[np.uint8]

_UNIT = 255.0**2

# Black, violet, red, orange, pale yellow, with increasing luminance.
_COLORS = np.array(
    [(0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164)]
)


def heat_map(image: Images, reconstruction: Images) -> NDArray[np.float64]:
    """Return the smoothed squared error float64 [H, W] between an image and its reconstruction.

    It is the mean over the channels, of values in [0, 1], smoothed by two passes of the weights
    ¼, ½, ¼ along both axes.
    """
    difference = image.astype(np.float64) - reconstruction
    heat = np.square(difference).mean(axis=2) / _UNIT
    for _ in range(4):
        heat = _blur(heat).T
    return heat


def heat_colors(heat: NDArray[Any], most: float) -> Images:
    """Map heat [...], 0 (black) to `most` and above (pale yellow), to colours uint8 [..., 3]."""
    place = np.clip(np.asarray(heat) / (most or 1), 0, 1) * (len(_COLORS) - 1)
    channels = [np.interp(place, np.arange(len(_COLORS)), channel) for channel in _COLORS.T]
    return np.round(np.stack(channels, axis=-1)).astype(np.uint8)


@dataclass(frozen=True, order=True)
class ScoredImage:
    """Image and reconstruction, both uint8 [H, W, C], ordered by score."""

    score: float
    order: int
    name: str = field(compare=False)
    image: Images = field(compare=False)
    reconstruction: Images = field(compare=False)


class HighestScores:
    """Collector of the `count` images with the highest scores; ties keep the first ones."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._heap: list[ScoredImage] = []
        self._seen = 0

    def offer(
        self, scores: NDArray[np.float64], names: list[str], images: Images, made: Images
    ) -> None:
        """Add images with scores [n], names and reconstructions; arrays are copied if kept."""
        for i in np.argsort(-scores, kind="stable")[: self._count]:
            order = -(self._seen + int(i))
            entry = ScoredImage(float(scores[i]), order, names[i], images[i].copy(), made[i].copy())
            if len(self._heap) < self._count:
                heapq.heappush(self._heap, entry)
            elif not self._heap[0] < entry:
                break
            else:
                heapq.heapreplace(self._heap, entry)
        self._seen += len(scores)

    def sorted(self) -> list[ScoredImage]:
        """Return the collected images, highest score first."""
        return sorted(self._heap, reverse=True)


def rows(worst: list[ScoredImage]) -> list[Row]:
    """Return rows of images, their reconstructions, and heat maps on one scale."""
    heats = [heat_map(one.image, one.reconstruction) for one in worst]
    most = max(float(heat.max()) for heat in heats)
    result = []
    for start in range(0, len(worst), COLUMNS):
        band = worst[start : start + COLUMNS]
        result += [
            Row(
                "images, and their scores",
                [one.image for one in band],
                [f"{one.score:.4f}" for one in band],
            ),
            Row(
                "reconstructions",
                [one.reconstruction for one in band],
                [shorten(one.name) for one in band],
            ),
            Row(
                f"squared error of each pixel, smoothed: from 0 to {most:.2f}",
                [heat_colors(heat, most) for heat in heats[start : start + COLUMNS]],
                [""] * len(band),
                heat_colors(np.linspace(0, 1, 128), 1),
            ),
        ]
    return result


def _blur(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth along the first axis, with replicated borders."""
    padded = np.pad(values, ((1, 1), (0, 0)), "edge")
    return padded[:-2] / 4 + values / 2 + padded[2:] / 4
