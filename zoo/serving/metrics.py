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

from zoo.serving.models import Model

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """Counters of requests, and what the batchers count themselves."""

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
        self.registry.register(_Batchers(models))
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


class _Batchers:
    """Collector of the statistics of the models' batchers."""

    def __init__(self, models: Mapping[str, Model]) -> None:
        self._models = models

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of this moment."""
        images = CounterMetricFamily("zoo_images", "Images computed.", labels=["model"])
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
        for name, model in self._models.items():
            counts = model.batcher.statistics()
            images.add_metric([name], counts.images)
            rejected.add_metric([name], counts.rejected)
            cancelled.add_metric([name], counts.cancelled)
            expired.add_metric([name], counts.expired)
            waiting.add_metric([name], counts.waiting)
            total, buckets = 0, []
            for power, count in enumerate(counts.run_sizes):
                total += count
                buckets.append((str(float(2**power)), total))
            sizes.add_metric([name], [*buckets, ("+Inf", total)], counts.images)
        return [images, rejected, cancelled, expired, waiting, sizes]
