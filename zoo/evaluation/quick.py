"""A quick measure of a generator while it trains: Fréchet distance and classes, after each epoch.

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
    """Compares images with real ones of a data set in the features of the default network.

    data: the data set; count: how many of its images to compare with, as many as will be measured
    (the distance depends on the number), or half of the data set if it is smaller than twice that;
    threads: CPU threads of the network (None: one a core); part: the split that is compared with
    first, "test", or "validation" while there is something to choose.

    Draws nothing from any global random generator. Raises `ConfigError` where the network's package
    is missing (the extra `evaluate`), `DataError` for a data set of a handful of images.
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
        """Classes of the images that were measured last, where the network knows the data's."""

    def measure(self, images: Images) -> dict[str, float]:
        """Measure images uint8 [N, H, W, C] of the size and mode of the data set.

        Returns `fid`, and where the network knows the classes of the data set `class_entropy` (of
        the histogram of the images' classes, in nats) and `modes`, the share of the classes that
        they cover. Raises `DataError` for images of another shape, or fewer than two.
        """
        if images.shape[1:] != self._shape:
            raise DataError(
                f"images: expected [N, {', '.join(map(str, self._shape))}], got "
                f"{list(images.shape)}"
            )
        gaussian, histogram = self._summed(images)
        real, real_histogram = self._real
        measured = {"fid": frechet.distance(gaussian, real)}
        self.histogram = histogram
        if histogram is not None and real_histogram is not None:
            measured["class_entropy"] = histogram.entropy
            measured["modes"] = modes.coverage(histogram, real_histogram)
        return measured

    @cached_property
    def floor(self) -> float:
        """The distance of as many other real images: what the best generator would get."""
        others = np.concatenate(list(self._reference.floor.batches()))
        return frechet.distance(self._summed(others)[0], self._real[0])

    @cached_property
    def _real(self) -> tuple[frechet.Gaussian, modes.Histogram | None]:
        return self._summed(np.concatenate(list(self._reference.real.batches())))

    def _summed(self, images: Images) -> tuple[frechet.Gaussian, modes.Histogram | None]:
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


__all__ = ["QuickFid"]
