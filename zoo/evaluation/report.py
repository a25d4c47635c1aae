"""Metrics with their context, and reports of them."""

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
    """Metric of images, and of a `baseline` for scale.

    The baseline is the floor, that is other real images, or for `pixel` metrics the input of a
    translator; it may be None. `std` and `baseline_std` are standard deviations over subsets.
    `network` is the feature network or judge, empty for pixels. `best` is "least" or "most". For
    several seeds (`over_seeds`) `value` is the mean of `values`, and `interval` the half width of
    its 95 % confidence interval.
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
    """Metrics of `count` images of a `subject`, compared with `against`.

    They are means over `seeds` seeds, from `seed` on, with `count` images each. `details` are
    parameters of the metrics.
    """

    subject: str
    against: str
    count: int
    seed: int
    metrics: tuple[Metric, ...]
    seeds: int = 1
    details: str = ""

    def __getitem__(self, name: str) -> float:
        """Return the value of a metric by name. Raises KeyError."""
        for metric in self.metrics:
            if metric.name == name:
                return metric.value
        raise KeyError(name)

    def document(self) -> dict[str, Any]:
        """Return the report as a JSON document, with None for non-finite numbers."""
        document: dict[str, Any] = _finite(asdict(self))
        return document


@dataclass(frozen=True)
class Difference:
    """Difference of a metric of two reports, the first minus the second.

    `interval` is the half width of its 95 % confidence interval (Welch 1947), or None if either was
    measured with one seed.
    """

    name: str
    value: float
    network: str
    interval: float | None = None

    @property
    def none(self) -> bool:
        """True if the difference is not significant."""
        return self.interval is not None and abs(self.value) <= self.interval


def over_seeds(reports: Sequence[Report]) -> Report:
    """Combine reports of the same model and metrics, measured with one seed each."""
    first = reports[0]
    if len(reports) == 1:
        return first
    metrics = []
    for column in zip(*(report.metrics for report in reports), strict=True):
        values = np.array([metric.value for metric in column])
        error = float(values.std(ddof=1)) / math.sqrt(len(values))
        interval = _quantile(len(values) - 1) * error
        mean = float(values.mean())
        metrics.append(
            replace(column[0], value=mean, interval=interval, values=tuple(values.tolist()))
        )
    return replace(first, metrics=tuple(metrics), seeds=len(reports))


def _quantile(freedom: float) -> float:
    """Return the two-sided 95 % quantile of Student's t distribution."""
    return float(require("scipy.special", "evaluate").stdtrit(freedom, 0.975))


def _interval(one: Metric, other: Metric) -> float | None:
    """Return the confidence interval of a difference of means with unequal variances (Welch)."""
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
    """Return the differences of the metrics that both reports have.

    Raises `ConfigError` for numbers that are not comparable, because the real images, the number of
    images, or the networks differ.
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
    others = {metric.name: metric for metric in other.metrics}
    differences = []
    for metric in one.metrics:
        same = others.get(metric.name)
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
    """Format a report as a table, optionally next to another one and the differences.

    Raises `ConfigError` as `compare`.
    """
    tables: list[str] = []
    for pixel, baseline in ((False, "floor"), (True, "input")):
        metrics = [metric for metric in report.metrics if metric.pixel == pixel]
        if metrics:
            tables += _table(metrics, report, other, baseline)
    return tables


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
            entry = differences.get(metric.name)
            row.append(number(other[metric.name]) if entry else "")
            row.append("" if entry is None else "none" if entry.none else f"{entry.value:+.3g}")
        row.append("" if metric.baseline is None else number(metric.baseline, metric.baseline_std))
        rows.append([*row, metric.network])
    return align_columns(rows, right=range(1, len(head) - 1))


def _spread(metric: Metric) -> float | None:
    return metric.std if metric.interval is None else metric.interval


def number(value: float, std: float | None = None) -> str:
    """Format a number with four digits, and its standard deviation or interval with two."""
    text = f"{value:.4g}"
    return text if std is None else f"{text} ± {std:.2g}"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
