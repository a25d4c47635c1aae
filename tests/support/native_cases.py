"""Cases of the native backend's layers: their sides and channels, and the graphs around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from native_engines import encoder
from native_graphs import Network, Value
from native_runs import check, label, pairs

SIDES = (1, 2, 3, 5, 7, 8, 13, 17)
CHANNELS = (1, 3, 5, 15, 16, 17, 31, 33, 48)
SLOPES = (None, 0.0, 0.2, -1.0)
"""None: no rectifier; -1: a LeakyRelu of the default slope."""

Case = dict[str, Any]


def number(case: Case) -> int:
    """The seed of a case's weights and images."""
    return sum(label(case).encode())


def cases(*found: Case) -> Any:
    return pytest.mark.parametrize("case", found, ids=label)


def begin(case: Case) -> tuple[Network, Value]:
    """A map of the case's sides and channels, that is not read from the image as it comes."""
    graph = Network(number(case), case.get("halves", False))
    shape = (case["height"], case["width"], case["channels"])
    return graph, graph.rectify(graph.images(shape, centred=True), 0.3)


def finish(graph: Network, value: Value, folder: Path) -> None:
    """The numbers of a map, in the order of ONNX, are those of the code."""
    check(encoder(graph, folder / "small.onnx", graph.flat(value) if value.sides else value))


def sided(seed: int, count: int, **options: Any) -> list[Case]:
    return list(pairs(seed, count, height=SIDES, width=SIDES, channels=CHANNELS, **options))
