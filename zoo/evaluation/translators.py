"""Evaluation of translators by pixels, by sets of images, and by attributes."""

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
"""Groups of metrics for the set of outputs."""


def select(data: DataSet, count: int | None, part: str = "test") -> Reference:
    """Select images of a split to translate, which are also the `floor`, and training images.

    Their number is `count`, or that of all images. Raises `DataError` if there are too few.
    """
    most = min(len(data.parts[part]), largest(data, part))
    if count is not None and count > most:
        raise DataError(f"n: {data.name} has {most:,} {part} images to translate, got {count:,}")
    chosen = count or most
    random = np.random.default_rng(0)
    train = np.sort(random.permutation(len(data.train))[:chosen])
    none = np.zeros(0, np.int64)
    return Reference(
        Selection(data, none, train, part), Selection(data, np.arange(chosen), none, part)
    )


def make_yardstick(
    network: FeatureNetwork,
    data: DataSet,
    count: int | None,
    judge: AttributeJudge | None,
    part: str = "test",
) -> Yardstick:
    """Return the yardstick for the set of a translator's outputs, made from images of a split."""
    names = [*METRICS, *(["attributes"] if judge else [])]
    return Yardstick(network, select(data, count, part), judge, names)


def evaluate(
    translator: Any,
    name: str,
    case: Case,
    yardstick: Yardstick,
    seed: int = 0,
    seen: Callable[[int], None] | None = None,
) -> Report:
    """Translate the images of a yardstick from `make_yardstick`, and report metrics.

    Args:
        translator: a runtime.Translator or a compatible object.
        name: title of the report.
        case: the test case.
        yardstick: measures the outputs as a set.
        seed: of the corruption or of the translator's noise.
        seen: called with the number of images of each batch.
    """
    count, pixels = len(yardstick.reference.floor), Quality()
    outputs = pixels.measure(case.blocks(translator, count, seed))
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
    """Return the share of attributes of the outputs that the judge sees as in the data."""
    truth = yardstick.reference.floor.attributes
    floor = yardstick.floor.attributes
    assert truth is not None and found is not None and floor is not None
    right, floor_right = (float((table == (truth > 0)).mean()) for table in (found, floor))
    return Metric("attribute accuracy", right, floor_right, str(judge), best="most")
