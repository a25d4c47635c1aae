"""Quick evaluation of a generator during training: Fréchet distance and classes per epoch.

>>> quick = QuickFid(data, count=2000)
>>> quick.measure(images)  # uint8 [N, H, W, C]
{'fid': 12.3, 'class_entropy': 2.29, 'modes': 1.0}
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from zoo.data import DataSet
from zoo.errors import DataError
from zoo.evaluation import features, frechet, modes, references

Images = NDArray[np.uint8]


class QuickFid:
    """Comparison of images with real ones of a data set in the features of the default network.

    count: number of real images, which should equal the number of measured images, since the
    distance depends on it; limited to half of the data set. threads: CPU threads of the network
    (None: one per core). part: the split used first, "test", or "validation" for model selection.

    Does not use any global random generator. Raises `ConfigError` if the network's package is
    missing (the extra `evaluate`), and `DataError` for a very small data set.
    """

    def __init__(
        self, data: DataSet, count: int = 2000, threads: int | None = 1, part: str = "test"
    ) -> None:
        name = features.default_name(data.channels)
        self.network = features.load(name, size=data.image_size, threads=threads)
        self._shape = data.train.images.shape[1:]
        self._reference = references.choose(
            data, min(count, references.largest(data, part)), part=part
        )
        self._has_modes = bool(data.classes) and tuple(data.classes) == self.network.classes
        self.histogram: modes.Histogram | None = None
        """Classes of the last measured images, if the network knows those of the data."""

    def measure(self, images: Images) -> dict[str, float]:
        """Measure images uint8 [N, H, W, C] of the size and mode of the data set.

        Returns `fid`, and if the network knows the classes of the data set, `class_entropy` (of the
        images' classes, in nats) and `modes`, the share of classes covered. Raises `DataError` for
        images of another shape, or fewer than two.
        """
        if images.shape[1:] != self._shape:
            raise DataError(
                f"images: expected [N, {', '.join(map(str, self._shape))}], got "
                f"{list(images.shape)}"
            )
        gaussian, histogram = self._summarise(images)
        real, real_histogram = self._real
        measured = {"fid": frechet.distance(gaussian, real)}
        self.histogram = histogram
        if histogram is not None and real_histogram is not None:
            measured["class_entropy"] = histogram.entropy
            measured["modes"] = modes.coverage(histogram, real_histogram)
        return measured

    @cached_property
    def floor(self) -> float:
        """Distance of as many other real images, which a perfect generator would reach."""
        others = np.concatenate(list(self._reference.floor.batches()))
        return frechet.distance(self._summarise(others)[0], self._real[0])

    @cached_property
    def _real(self) -> tuple[frechet.Gaussian, modes.Histogram | None]:
        return self._summarise(np.concatenate(list(self._reference.real.batches())))

    def _summarise(self, images: Images) -> tuple[frechet.Gaussian, modes.Histogram | None]:
        moments = frechet.Moments(self.network.width)
        histogram: modes.Histogram | None = None
        batches = (
            images[start : start + features.BATCH]
            for start in range(0, len(images), features.BATCH)
        )
        for found, probabilities in self.network.stream(batches):
            moments.add(found)
            if self._has_modes and probabilities is not None:
                counts = modes.histogram(probabilities)
                histogram = counts if histogram is None else histogram + counts
        return moments.gaussian(), histogram
