"""How well a translator repairs, fills, colours or changes images: pixels, sets, attributes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data import DataSet
from zoo.errors import DataError
from zoo.evaluation.attributes import AttributeJudge
from zoo.evaluation.cases import Case
from zoo.evaluation.features import FeatureNetwork
from zoo.evaluation.pixels import Quality
from zoo.evaluation.references import Reference, Selection, largest
from zoo.evaluation.report import Metric, Report
from zoo.evaluation.yardstick import Yardstick

METRICS = ("fid", "kid", "manifolds")
"""Groups of metrics of the outputs as a set; single images are compared with the truth."""


def select(data: DataSet, count: int | None) -> Reference:
    """Test images to translate (the `floor`: they are the truth), and training images to compare.

    As many of both: `count`, or all test images. Raises `DataError` where there are not so many.
    """
    most = min(len(data.test), largest(data))
    if count is not None and count > most:
        raise DataError(f"n: {data.name} has {most:,} test images to translate, got {count:,}")
    chosen = count or most
    random = np.random.default_rng(0)
    train = np.sort(random.permutation(len(data.train))[:chosen])
    none = np.zeros(0, np.int64)
    return Reference(Selection(data, none, train), Selection(data, np.arange(chosen), none))


def make_yardstick(
    network: FeatureNetwork, data: DataSet, count: int | None, judge: AttributeJudge | None
) -> Yardstick:
    """What the outputs of a translator are measured by, as a set."""
    names = [*METRICS, *(["attributes"] if judge else [])]
    return Yardstick(network, select(data, count), judge, names)


def evaluate(
    translator: Any,
    name: str,
    case: Case,
    yardstick: Yardstick,
    seed: int = 0,
    seen: Callable[[int], None] | None = None,
) -> Report:
    """Translate the test images of a yardstick made by `make_yardstick`.

    Args:
        translator: a runtime.Translator, or what has its attributes.
        name: of the translator and what was done to the images.
        case: how its inputs are made.
        yardstick: measures the outputs as a set.
        seed: of the damage, or of the translator's noise.
        seen: told how many images were done.
    """
    count, pixels = len(yardstick.reference.floor), Quality()
    outputs = pixels.through(case.blocks(translator, count, seed))
    measured = yardstick.measure(outputs, count, seen)
    metrics = [*pixels.metrics(), *yardstick.metrics(measured)]
    if yardstick.judge is not None:
        if case.keeps:
            metrics.append(_agreement(yardstick, measured.attributes, yardstick.judge))
        if case.changes is not None:
            metrics += case.changes(translator, count, yardstick.judge)
    return Report(name, str(yardstick.reference.real), count, seed, tuple(metrics))


def _agreement(
    yardstick: Yardstick, found: NDArray[np.bool_] | None, judge: AttributeJudge
) -> Metric:
    """The share of attributes that the judge finds in the outputs as the data has them."""
    truth = yardstick.reference.floor.attributes
    floor = yardstick.floor.attributes
    assert truth is not None and found is not None and floor is not None
    right, floor_right = (float((table == (truth > 0)).mean()) for table in (found, floor))
    return Metric("attribute accuracy", right, floor_right, str(judge), best="most")


__all__ = ["METRICS", "evaluate", "make_yardstick", "select"]
