"""Quality of the plans of a generator: Fréchet distances of their images."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from export.errors import ExportError, one_line
from zoo import data as sets
from zoo.data import DataSet
from zoo.errors import DataError, ZooError
from zoo.evaluation import features, frechet, sampling
from zoo.evaluation.quick import QuickFid
from zoo.evaluation.references import LEAST

IMAGES = 2000
"""Default number of images for a distance."""

MOST_IMAGES = 1_000_000
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


def load_training_data(manifest: dict[str, Any], say: Callable[[str], None]) -> DataSet | None:
    """Load the training data of an engine; None if it is unavailable, after saying why."""
    image, name = manifest["image"], (manifest.get("training") or {}).get("data")
    if not name:
        return None
    try:
        return sets.load(str(name), image["height"], image["channels"], download=False)
    except (ZooError, ImportError) as error:
        say(f"the checks have no images of {name}: {one_line(error)}")
        return None


def check_limits(images: int, max_loss: float | None) -> None:
    """Raise ExportError for a number of images or a loss in percent out of range."""
    if not LEAST <= images <= MOST_IMAGES:
        raise ExportError(
            f"check-images must be between {LEAST} and {MOST_IMAGES:,}, got {images:,}"
        )
    if max_loss is not None and not (math.isfinite(max_loss) and max_loss >= 0):
        raise ExportError(f"max-quality-loss must be a percentage of at least 0, got {max_loss:g}")


def fid_increase(distances: dict[str, Any]) -> float | None:
    """Return the increase of a plan's FID over fp32 in percent, at least 0; None without FIDs."""
    if not distances.get("fp32"):
        return None
    return max(0.0, 100 * (distances["plan"] / distances["fp32"] - 1))


def _round(value: float) -> float:
    return float(f"{value:.7g}")
