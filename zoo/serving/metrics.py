"""Metrics of a service, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from runtime import BatcherStatistics
from zoo.serving.models import GeneratorModel, Model
from zoo.serving.pool import Pool

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """Counters of requests, and what the batchers and pools of the models count themselves."""

    def __init__(self, models: Mapping[str, Model]) -> None:
        disable_created_metrics()
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "zoo_requests",
            "Requests, by what they asked for.",
            ["route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "zoo_request_seconds",
            "Time to the last byte of an answer.",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.registry.register(_Models(models))
        self._known: dict[tuple[str, int | str], tuple[Counter, Histogram]] = {}

    def count(self, route: str, status: int | str, seconds: float) -> None:
        """Count a request."""
        key = route, status
        if key not in self._known:
            counted = self.requests.labels(route, str(status)), self.seconds.labels(route)
            self._known[key] = counted
        counter, histogram = self._known[key]
        counter.inc()
        histogram.observe(seconds)


class _Models:
    """Collector of the statistics of the models' batchers and pools."""

    def __init__(self, models: Mapping[str, Model]) -> None:
        self._models = models

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of this moment."""
        images = CounterMetricFamily(
            "zoo_images", "Images of generators computed.", labels=["model"]
        )
        pooled = CounterMetricFamily(
            "zoo_pooled_images",
            "Images decoded, encoded, translated or mixed by threads.",
            labels=["model"],
        )
        rejected = CounterMetricFamily(
            "zoo_rejected_requests", "Requests refused because too many waited.", labels=["model"]
        )
        cancelled = CounterMetricFamily(
            "zoo_cancelled_requests", "Requests whose client went away.", labels=["model"]
        )
        expired = CounterMetricFamily(
            "zoo_expired_requests", "Requests whose deadline passed.", labels=["model"]
        )
        waiting = GaugeMetricFamily("zoo_waiting_images", "Images that wait.", labels=["model"])
        sizes = HistogramMetricFamily("zoo_run_images", "Images of a run.", labels=["model"])
        sums = (
            (rejected, "rejected"),
            (cancelled, "cancelled"),
            (expired, "expired"),
            (waiting, "waiting"),
        )
        for name, model in self._models.items():
            pooled.add_metric([name], model.pool.images)
            counted: list[Pool | BatcherStatistics] = [model.pool]
            if isinstance(model, GeneratorModel):
                batcher = model.batcher.statistics()
                counted.append(batcher)
                images.add_metric([name], batcher.images)
                sizes.add_metric([name], *_histogram(batcher))
            for metric, field in sums:
                metric.add_metric([name], sum(getattr(each, field) for each in counted))
        return [images, pooled, rejected, cancelled, expired, waiting, sizes]


def _histogram(batcher: BatcherStatistics) -> tuple[list[tuple[str, int]], int]:
    """Return the cumulative buckets of the sizes of runs, and their sum."""
    total, buckets = 0, []
    for power, count in enumerate(batcher.run_sizes):
        total += count
        buckets.append((str(float(2**power)), total))
    return [*buckets, ("+Inf", total)], batcher.images
