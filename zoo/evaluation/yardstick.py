"""Measurement of sets of generated images against real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ConfigError, DataError
from zoo.evaluation import manifolds, modes
from zoo.evaluation.attributes import AttributeJudge
from zoo.evaluation.features import INCEPTION, FeatureNetwork, Images
from zoo.evaluation.measured import Measured, load_or_measure
from zoo.evaluation.references import Reference, Selection
from zoo.evaluation.report import Metric

METRICS = ("fid", "kid", "is", "manifolds", "modes", "attributes")
"""Groups of metrics, as named in --metrics."""

Seen = Callable[[int], None]


class Yardstick:
    """Metrics of sets of images, compared with the real images of a reference.

    network: provides features; reference: real images, and others for the floor; judge: sees
    attributes; names: groups of `METRICS`, by default all that apply to the data (the Inception
    score only for Inception's classes, or those of the data). Raises `ConfigError` for unknown and
    inapplicable groups.
    """

    def __init__(
        self,
        network: FeatureNetwork,
        reference: Reference,
        judge: AttributeJudge | None = None,
        names: Iterable[str] | None = None,
    ) -> None:
        self.network, self.reference, self.judge = network, reference, judge
        data = reference.real.data
        possible = {
            "is": network.probabilities,
            "modes": self.knows_classes,
            "attributes": judge is not None,
        }
        default = {**possible, "is": self.knows_classes or network.name == INCEPTION}
        if names is None:
            names = [name for name in METRICS if default.get(name, True)]
        chosen = list(names)
        for name in chosen:
            if name not in METRICS:
                raise ConfigError(f"metrics: expected some of {', '.join(METRICS)}, got {name!r}")
            if not possible.get(name, True):
                raise ConfigError(
                    f"metrics: {name} cannot be measured on {data.name} by {network.name}"
                )
        self.names = [name for name in METRICS if name in chosen]

    @property
    def knows_classes(self) -> bool:
        """True if the network's classes are those of the data set."""
        classes = tuple(self.reference.real.data.classes)
        return bool(classes) and classes == self.network.classes

    def measure(self, batches: Iterable[Images], count: int, seen: Seen | None = None) -> Measured:
        """Measure `count` images in batches uint8 [n, H, W, C], keeping only their features.

        Raises `DataError` for another number of images.
        """
        features: list[NDArray[np.float32]] = []
        probabilities: list[NDArray[np.float32]] = []
        attributes: list[NDArray[np.bool_]] = []
        done = 0
        for images in batches:
            batch_features, scores = self.network(images)
            features.append(batch_features)
            if scores is not None and ("is" in self.names or self.knows_classes):
                probabilities.append(scores)
            if self.judge is not None and "attributes" in self.names:
                attributes.append(self.judge(images))
            done += len(images)
            if seen is not None:
                seen(len(images))
        if done != count:
            raise DataError(f"expected {count:,} images, got {done:,}")
        return Measured(
            np.concatenate(features),
            np.concatenate(probabilities) if probabilities else None,
            np.concatenate(attributes) if attributes else None,
        )

    def prepare(self, seen: Seen | None = None) -> None:
        """Measure the real images now instead of on first use."""
        self._measured = tuple(
            self._measure_real(part, seen) for part in (self.reference.real, self.reference.floor)
        )

    @cached_property
    def _measured(self) -> tuple[Measured, ...]:
        parts: tuple[Selection, ...] = (self.reference.real, self.reference.floor)
        return tuple(map(self._measure_real, parts))

    def _measure_real(self, part: Selection, seen: Seen | None = None) -> Measured:
        def measure() -> Measured:
            return self.measure(part.batches(), len(part), seen)

        if not part.key:
            return measure()
        judge = self.judge if "attributes" in self.names else None
        return load_or_measure(part.key, f"{self.network}, {judge}", measure)

    @property
    def real(self) -> Measured:
        """Measurements of the real images."""
        return self._measured[0]

    @property
    def floor(self) -> Measured:
        """Measurements of as many other real images."""
        return self._measured[1]

    def metrics(self, images: Measured) -> tuple[Metric, ...]:
        """Return all metrics of these images, and those of the floor."""
        values, floors = self._values(images), self._floors
        return tuple(
            Metric(name, mean, floors[name][0], self._by(name), std, floors[name][1], _BEST[name])
            for name, (mean, std) in values.items()
        )

    def label_accuracy(self, images: Measured, labels: NDArray[np.int64]) -> Metric | None:
        """Return the share of images that the network assigns to their requested classes [n].

        Its floor is the network's accuracy on the real images, which are held out if there are
        enough, as the network was trained on the others. None if the network does not know the
        classes of the data set.
        """
        real_labels = self.reference.real.labels
        if not self.knows_classes or real_labels is None:
            return None
        assert images.classes is not None and self.real.classes is not None
        right = float((images.classes == labels).mean())
        floor_right = float((self.real.classes == real_labels).mean())
        return Metric("label accuracy", right, floor_right, str(self.network), best="most")

    @cached_property
    def _floors(self) -> dict[str, tuple[float, float | None]]:
        return self._values(self.floor)

    def _by(self, name: str) -> str:
        return str(self.judge if name == ATTRIBUTE_GAP else self.network)

    @cached_property
    def _gamma(self) -> float | None:
        """Scale of KID's kernel: the published one for Inception, else from the real features."""
        if self.network.name == INCEPTION:
            return None
        return 1 / float(np.square(self.real.features, dtype=np.float64).sum(1).mean())

    @property
    def details(self) -> str:
        """Parameters of the metrics that their names leave out."""
        parts = []
        if "kid" in self.names:
            gamma = self._gamma or 1 / self.network.width
            parts.append(f"KID with the kernel (γ x·y + 1)³, γ = {gamma:.3g}")
        if "manifolds" in self.names and len(self.floor) < len(self.real):
            count = f"{len(self.floor):,}"
            parts.append(f"precision, recall, density and coverage with {count} of the real images")
        return "; ".join(parts)

    @cached_property
    def _manifold(self) -> manifolds.Manifold:
        return manifolds.Manifold(self.real.features[: len(self.floor)])

    def _values(self, images: Measured) -> dict[str, tuple[float, float | None]]:
        values: dict[str, tuple[float, float | None]] = {}
        real = self.real
        if {"fid", "kid", "is"} & {*self.names}:
            from zoo.evaluation import scores
        if "fid" in self.names:
            values["FID"] = scores.frechet(images.features, real.features), None
        if "kid" in self.names:
            kid = scores.kernel(images.features, real.features, self._gamma)
            values["KID × 1000"] = kid.mean * 1000, kid.std * 1000
        if "is" in self.names:
            assert images.probabilities is not None
            score = scores.inception_score(images.probabilities)
            values["Inception score"] = score.mean, score.std
        if "manifolds" in self.names:
            shares = self._manifold.compare(images.features)
            for name in ("precision", "recall", "density", "coverage"):
                values[name] = getattr(shares, name), None
        if "modes" in self.names:
            assert images.probabilities is not None and real.probabilities is not None
            classes, real_classes = map(modes.histogram, (images.probabilities, real.probabilities))
            values["class coverage"] = modes.coverage(classes, real_classes), None
            values["class divergence"] = modes.divergence(classes, real_classes), None
        if "attributes" in self.names:
            assert images.attributes is not None and real.attributes is not None
            gaps = np.abs(images.attributes.mean(0) - real.attributes.mean(0))
            values[ATTRIBUTE_GAP] = float(gaps.mean()), None
        return values


ATTRIBUTE_GAP = "attribute gap"
_BEST = {
    "FID": "least",
    "KID × 1000": "least",
    "Inception score": "most",
    "precision": "most",
    "recall": "most",
    "density": "most",
    "coverage": "most",
    "class coverage": "most",
    "class divergence": "least",
    ATTRIBUTE_GAP: "least",
}
