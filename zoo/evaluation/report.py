"""What was measured, with everything that a number means nothing without."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from zoo.errors import ConfigError
from zoo.optional import require
from zoo.tables import align_columns


@dataclass(frozen=True)
class Metric:
    """One number: of the images in question, and of a `baseline` for scale.

    `baseline` is the floor, real images in place of generated ones, or for `pixel` metrics the
    input of a translator; None where there is none. `std` and `baseline_std` are standard
    deviations over subsets. `network` is what it was measured by, empty for pixels. `best` is
    "least" or "most". Of several seeds (`over_seeds`) `value` is the mean of `values`, and
    `interval` the half width of its 95 % confidence interval.
    """

    name: str
    value: float
    baseline: float | None
    network: str = ""
    std: float | None = None
    baseline_std: float | None = None
    best: str = "least"
    pixel: bool = False
    interval: float | None = None
    values: tuple[float, ...] = ()


@dataclass(frozen=True)
class Report:
    """The metrics of `count` images of a `subject`, compared with `against`, for a `seed`.

    With `seeds` of more than 1 they are means over `seed`, `seed + 1`, …, of `count` images each.
    """

    subject: str
    against: str
    count: int
    seed: int
    metrics: tuple[Metric, ...]
    seeds: int = 1

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
    """A metric of two reports: `value` of the first minus that of the second.

    `interval` is the half width of its 95 % confidence interval (Welch 1947), None where either was
    measured with one seed.
    """

    name: str
    value: float
    network: str
    interval: float | None = None

    @property
    def none(self) -> bool:
        """Whether other seeds could make the difference vanish."""
        return self.interval is not None and abs(self.value) <= self.interval


def over_seeds(reports: Sequence[Report]) -> Report:
    """Reports of the same model, images and metrics, measured with one seed each, as one of all."""
    first = reports[0]
    if len(reports) == 1:
        return first
    metrics = []
    for column in zip(*(report.metrics for report in reports), strict=True):
        values = np.array([metric.value for metric in column])
        error = float(values.std(ddof=1)) / math.sqrt(len(values))
        interval = _quantile(len(values) - 1) * error
        told = tuple(map(float, values))
        metrics.append(
            replace(column[0], value=float(values.mean()), interval=interval, values=told)
        )
    return replace(first, metrics=tuple(metrics), seeds=len(reports))


def _quantile(freedom: float) -> float:
    """What 95 % of Student's t of so many degrees of freedom are nearer to 0 than."""
    return float(require("scipy.special", "evaluate").stdtrit(freedom, 0.975))


def _interval(one: Metric, other: Metric) -> float | None:
    """Confidence interval of the difference of two means with unequal variances (Welch)."""
    samples = [np.array(metric.values) for metric in (one, other)]
    if min(map(len, samples)) < 2:
        return None
    errors = np.array([values.var(ddof=1) / len(values) for values in samples])
    if not errors.sum():
        return 0.0
    freedom = errors.sum() ** 2 / sum(
        error**2 / (len(values) - 1) for error, values in zip(errors, samples, strict=True)
    )
    return _quantile(float(freedom)) * math.sqrt(errors.sum())


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
        difference = metric.value - same.value
        interval = _interval(metric, same)
        differences.append(Difference(metric.name, difference, metric.network, interval))
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
    differences: dict[str, Difference] = {}
    if other is not None:
        differences = {entry.name: entry for entry in compare(report, other)}
        head += [other.subject, "difference"]
    head += [baseline, "network"]
    rows = [head]
    for metric in metrics:
        row = [metric.name, number(metric.value, _spread(metric))]
        if other is not None:
            found = differences.get(metric.name)
            row.append(number(other[metric.name]) if found else "")
            row.append("" if found is None else "none" if found.none else f"{found.value:+.3g}")
        row.append("" if metric.baseline is None else number(metric.baseline, metric.baseline_std))
        rows.append([*row, metric.network])
    return align_columns(rows, right=range(1, len(head) - 1))


def _spread(metric: Metric) -> float | None:
    return metric.std if metric.interval is None else metric.interval


def number(value: float, std: float | None = None) -> str:
    """Four digits, and the standard deviation or interval with two."""
    text = f"{value:.4g}"
    return text if std is None else f"{text} ± {std:.2g}"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


__all__ = ["Difference", "Metric", "Report", "compare", "lines", "number", "over_seeds"]
