"""The options of plans, and what becomes of them: builds, and plans that were written."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from export.errors import ExportError
from export.plan import quality, targets
from export.plan.precision import PRECISIONS, Precision
from export.plan.results import Results
from export.plan.samples import SAMPLES, Calibration
from export.plan.targets import TensorRT
from zoo.evaluation.references import LEAST

MAX_BATCH = 4096
MOST_IMAGES = 1_000_000


@dataclass(frozen=True)
class Options:
    """How to build plans.

    Attributes:
        target: of `targets.TARGETS`, None for the TensorRT that is installed.
        precision: of `precision.PRECISIONS`.
        batch: the batch sizes that a plan runs.
        cache: the file of what the builder measured, None for one in the user's cache folder.
        compatible: whether later versions and other GPUs are to take the plan too.
        calibrate, samples: the fields of `samples.Calibration`, for int8 and fp8.

    Raises:
        ExportError: a precision, a batch size or a calibration that does not exist.
    """

    target: str | None = None
    precision: Precision = "fp32"
    batch: tuple[int, ...] = (1, 64, 512)
    cache: Path | None = None
    compatible: bool = False
    calibrate: str | None = None
    samples: int = SAMPLES

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ExportError(
                f"precision: expected one of {', '.join(PRECISIONS)}, got {self.precision!r}"
            )
        if not self.batch or not all(1 <= rows <= MAX_BATCH for rows in self.batch):
            text = ",".join(map(str, self.batch)) or "none"
            raise ExportError(f"batch: expected numbers from 1 to {MAX_BATCH}, got {text}")
        _ = self.calibration

    @cached_property
    def tensorrt(self) -> TensorRT:
        """The TensorRT of the target; raises ExportError as `targets.choose`."""
        return targets.choose(self.target)

    @property
    def buckets(self) -> tuple[int, ...]:
        """The batch sizes in rising order, each once."""
        return tuple(sorted(set(self.batch)))

    @property
    def calibration(self) -> Calibration:
        """The samples to calibrate int8 and fp8 with."""
        return Calibration(self.calibrate, self.samples)


@dataclass(frozen=True)
class Checking:
    """How plans are checked once they are built.

    `run` False leaves them unchecked. `images` is how many a generator's FID is of. `max_loss`, in
    percent, leaves the choice of the precision to `choice.choose`.

    Raises:
        ExportError: numbers that make no sense, or a choice without checks.
    """

    run: bool = True
    images: int = quality.IMAGES
    max_loss: float | None = None

    def __post_init__(self) -> None:
        if not LEAST <= self.images <= MOST_IMAGES:
            raise ExportError(
                f"check-images: expected {LEAST} to {MOST_IMAGES:,}, got {self.images:,}"
            )
        if self.max_loss is None:
            return
        if not (math.isfinite(self.max_loss) and self.max_loss >= 0):
            raise ExportError(
                f"max-quality-loss: expected a number of percent, 0 or more, got {self.max_loss:g}"
            )
        if not self.run:
            raise ExportError("max-quality-loss: plans are chosen by their checks, which are off")


@dataclass(frozen=True)
class Build:
    """What the builder made: the plan's bytes with their digest, and the manifest in them.

    `seconds` is how long it took; `layers` how many the plan has for one batch size.
    """

    data: bytes
    document: dict[str, Any]
    seconds: float
    layers: int


@dataclass(frozen=True)
class Plan:
    """A plan that was written: its place, size in bytes, and how it came to be.

    `checked` is what its checks found, None where it was not checked; `candidates` the table of the
    precisions that were compared, if one was to be chosen.
    """

    path: Path
    size: int
    seconds: float
    layers: int
    target: str
    precision: str
    fp32_layers: list[str]
    buckets: tuple[int, ...]
    fp16_layers: list[str] = field(default_factory=list)
    checked: Results | None = None
    candidates: str = ""

    def summary(self) -> str:
        """One line for people."""
        sizes = ", ".join(map(str, self.buckets))
        text = (
            f"{self.path}: {self.size:,} bytes in {self.seconds:.2f} s by {self.target}; "
            f"{self.layers} layers; {self.precision}; batch {sizes}"
        )
        if self.fp32_layers:
            text += f"; in fp32: {', '.join(self.fp32_layers)}"
        if self.fp16_layers:
            text += f"; in fp16: {', '.join(self.fp16_layers)}"
        if self.checked:
            text += f"; {self.checked.summary()}"
        return text
