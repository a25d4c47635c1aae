"""What was measured, with everything that a number means nothing without."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from zoo.applications.tables import aligned
from zoo.errors import ConfigError


@dataclass(frozen=True)
class Metric:
    """One number: of the images in question, and of a `baseline` for scale.

    `baseline` is the floor, real images in place of generated ones, or for `pixel` metrics the
    input of a translator; None where there is none. `std` and `baseline_std` are standard
    deviations over subsets. `network` is what it was measured by, empty for pixels. `best` is
    "least" or "most".
    """

    name: str
    value: float
    baseline: float | None
    network: str = ""
    std: float | None = None
    baseline_std: float | None = None
    best: str = "least"
    pixel: bool = False


@dataclass(frozen=True)
class Report:
    """The metrics of `count` images of a `subject`, compared with `against`, for a `seed`."""

    subject: str
    against: str
    count: int
    seed: int
    metrics: tuple[Metric, ...]

    def __getitem__(self, name: str) -> float:
        """The value of the metric of that name; KeyError where there is none."""
        for metric in self.metrics:
            if metric.name == name:
                return metric.value
        raise KeyError(name)

    def document(self) -> dict[str, Any]:
        """The report as JSON has it; what is not finite is None."""
        document: dict[str, Any] = _finite(asdict(self))
        return document


@dataclass(frozen=True)
class Difference:
    """A metric of two reports: `value` of the first minus that of the second."""

    name: str
    value: float
    network: str


def compare(one: Report, other: Report) -> list[Difference]:
    """The metrics that both reports have, one minus the other.

    Raises `ConfigError` where a number would not be comparable: other images to compare with,
    another number of images, or another network.
    """
    for what, first, second in (
        ("the real images", one.against, other.against),
        ("the number of images", one.count, other.count),
    ):
        if first != second:
            raise ConfigError(
                f"cannot compare {one.subject} with {other.subject}: {what} differ, {first} and "
                f"{second}"
            )
    found = {metric.name: metric for metric in other.metrics}
    differences = []
    for metric in one.metrics:
        same = found.get(metric.name)
        if same is None:
            continue
        if same.network != metric.network:
            raise ConfigError(
                f"cannot compare the {metric.name} of {one.subject} with that of {other.subject}: "
                f"they were measured by {metric.network} and by {same.network}"
            )
        differences.append(Difference(metric.name, metric.value - same.value, metric.network))
    return differences


def lines(report: Report, other: Report | None = None) -> list[str]:
    """The report as a table, and beside it another one of the same, with the differences.

    Raises `ConfigError` as `compare`.
    """
    found: list[str] = []
    for pixel, baseline in ((False, "floor"), (True, "input")):
        metrics = [metric for metric in report.metrics if metric.pixel == pixel]
        if metrics:
            found += _table(metrics, report, other, baseline)
    return found


def _table(
    metrics: Sequence[Metric], report: Report, other: Report | None, baseline: str
) -> list[str]:
    head = ["metric", "value"]
    differences: dict[str, float] = {}
    if other is not None:
        differences = {entry.name: entry.value for entry in compare(report, other)}
        head += [other.subject, "difference"]
    head += [baseline, "network"]
    rows = [head]
    for metric in metrics:
        row = [metric.name, number(metric.value, metric.std)]
        if other is not None:
            known = metric.name in differences
            row.append(number(other[metric.name]) if known else "")
            row.append(f"{differences[metric.name]:+.3g}" if known else "")
        row.append("" if metric.baseline is None else number(metric.baseline, metric.baseline_std))
        rows.append([*row, metric.network])
    return aligned(rows, right=range(1, len(head) - 1))


def number(value: float, std: float | None = None) -> str:
    """Four digits, and the standard deviation with two."""
    text = f"{value:.4g}"
    return text if std is None else f"{text} ± {std:.2g}"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


__all__ = ["Difference", "Metric", "Report", "compare", "lines", "number"]
