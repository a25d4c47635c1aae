"""Quality of the plans of a generator: Fréchet distances of their images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zoo.data import DataSet
from zoo.errors import DataError, ZooError
from zoo.evaluation import features, frechet, sampling
from zoo.evaluation.quick import QuickFid

IMAGES = 2000
"""Default number of images for a distance."""

SEED = 0


class Distances:
    """Fréchet distances of the plans of one generator; FIDs if its training data is available.

    Images, of seed 0, and feature network are those of `python -m zoo.evaluate`.

    Args:
        engine: the generator, opened by the runtime.
        data: its training data; None if unavailable.
        images: number of images for a distance.
    """

    def __init__(self, engine: Any, data: DataSet | None, images: int = IMAGES) -> None:
        self.images = images
        self.missing = ""
        """The reason if there are no distances."""
        self._quick: QuickFid | None = None
        try:
            samples = self._sample(engine)
            if data is not None:
                self._quick = QuickFid(data, images, threads=None)
                self.network = self._quick.network
                self.real, self._fp32 = data.name, self._quick.measure(samples)["fid"]
            else:
                size, _, channels = engine.image_shape
                self.network = features.load(features.default_name(channels), size=size)
                self._gaussian = frechet.fit(self.network(samples)[0])
        except (ZooError, ImportError) as error:
            self.missing = str(error).splitlines()[0]

    def measure(self, plan: Any) -> dict[str, Any]:
        """Measure the distances of an open plan, for its file of results.

        Returns `network`, `images`, and with real images `real` and the two FIDs `fp32` and `plan`,
        without them `between`, the distance of the plan's images from the engine's. If nothing
        could be measured, returns the reason as `missing`.
        """
        if self.missing:
            return {"missing": self.missing}
        samples = self._sample(plan)
        result: dict[str, Any] = {"network": str(self.network), "images": self.images}
        if self._quick is None:
            gaussian = frechet.fit(self.network(samples)[0])
            return result | {"between": _round(frechet.distance(gaussian, self._gaussian))}
        fid = self._quick.measure(samples)["fid"]
        return result | {"real": self.real, "fp32": _round(self._fp32), "plan": _round(fid)}

    def _sample(self, engine: Any) -> features.Images:
        if engine.manifest["image"]["dtype"] != "uint8":
            name = Path(engine.path).name
            raise DataError(f"{name} returns float images, which are not measured")
        return np.concatenate(list(sampling.sample_engine(engine, self.images, SEED)))


def fid_increase(distances: dict[str, Any]) -> float | None:
    """Return the increase of a plan's FID over fp32 in percent, at least 0; None without FIDs."""
    if not distances.get("fp32"):
        return None
    return max(0.0, 100 * (distances["plan"] / distances["fp32"] - 1))


def _round(value: float) -> float:
    return float(f"{value:.7g}")
