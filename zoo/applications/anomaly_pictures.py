"""The images of highest score among many, and a picture of them."""

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

# Black, violet, red, orange, pale yellow: darker is less in grey, too.
_COLORS = np.array(
    [(0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164)]
)


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
                [shorten(one.name) for one in band],
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


__all__ = ["Found", "Highest", "heat_colors", "heat_map", "rows"]
