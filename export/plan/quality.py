"""What a plan costs in the Fréchet distance of a generator's images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zoo.data import DataSet
from zoo.errors import DataError, ZooError
from zoo.evaluation import features, frechet, sampling
from zoo.evaluation.quick import QuickFid

IMAGES = 2000
"""Images that a distance is measured of, by default."""

SEED = 0


class Distances:
    """The Fréchet distances of plans of one generator: FID where real images are at hand.

    The features are those of the network that `python -m zoo.evaluate` takes for such images, and
    so are the images, those of seed 0.

    Args:
        engine: the generator, opened by the runtime.
        data: the set that it was trained on; None where it is not at hand.
        images: how many a distance is of.
    """

    def __init__(self, engine: Any, data: DataSet | None, images: int = IMAGES) -> None:
        self.images = images
        self.missing = ""
        """Why there are no distances."""
        self._quick: QuickFid | None = None
        try:
            made = self._made(engine)
            if data is not None:
                self._quick = QuickFid(data, images, threads=None)
                self.network = self._quick.network
                self.real, self._fp32 = data.name, self._quick.measure(made)["fid"]
            else:
                size, _, channels = engine.image_shape
                name = features.default_name(channels)
                self.network = features.load(name, size=size)
                self._gaussian = self._fitted(made)
        except (ZooError, ImportError) as error:
            self.missing = str(error).splitlines()[0]

    def measure(self, plan: Any) -> dict[str, Any]:
        """The distances of an opened plan, for its manifest.

        `network`, `images`, and of real images `real`, `fp32` and `plan`, the FIDs of the two; or
        without them `between`, the distance of the plan's images from the engine's; or `missing`,
        the reason.
        """
        if self.missing:
            return {"missing": self.missing}
        made = self._made(plan)
        found: dict[str, Any] = {"network": str(self.network), "images": self.images}
        if self._quick is None:
            between = frechet.distance(self._fitted(made), self._gaussian)
            return found | {"between": _digits(between)}
        fid = self._quick.measure(made)["fid"]
        return found | {"real": self.real, "fp32": _digits(self._fp32), "plan": _digits(fid)}

    def _made(self, engine: Any) -> features.Images:
        if engine.manifest["image"]["dtype"] != "uint8":
            name = Path(engine.path).name
            raise DataError(f"{name} gives float images, which are not measured")
        return np.concatenate(list(sampling.sample_engine(engine, self.images, SEED)))

    def _fitted(self, images: features.Images) -> frechet.Gaussian:
        moments = frechet.Moments(self.network.width)
        batches = (
            images[start : start + features.BATCH]
            for start in range(0, len(images), features.BATCH)
        )
        for found, _ in self.network.stream(batches):
            moments.add(found)
        return moments.gaussian()


def growth(found: dict[str, Any]) -> float | None:
    """Relative increase of a plan's FID over fp32 in percent, at least 0; None without FIDs."""
    if not found.get("fp32"):
        return None
    return max(0.0, 100 * (found["plan"] / found["fp32"] - 1))


def _digits(value: float) -> float:
    return float(f"{value:.7g}")
