"""Options of plans and of their checks; builds and written plans."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from export.errors import ExportError
from export.plan import quality, targets
from export.plan.calibration_set import SAMPLES, Calibration
from export.plan.precision import PRECISIONS, Precision
from export.plan.results import Results
from export.plan.targets import TensorRT

MAX_BATCH = 4096


@dataclass(frozen=True)
class Options:
    """Options of the build of plans.

    Attributes:
        target: one of `targets.TARGETS`, None for the installed TensorRT.
        precision: one of `precision.PRECISIONS`.
        batch: batch sizes of the plan.
        cache: the timing cache, None for a file in the user's cache folder.
        compatible: build for later versions and other GPUs too.
        calibrate, samples: fields of `calibration_set.Calibration`, for int8 and fp8.
        any_batch: run every batch size up to the largest, not only those of the plan.
        plugins: draw the noise in the plan, by the plugins; with any batch size.

    Raises:
        ExportError: an invalid precision, batch size or calibration.
    """

    target: str | None = None
    precision: Precision = "fp32"
    batch: tuple[int, ...] = (1, 64, 512)
    cache: Path | None = None
    compatible: bool = False
    calibrate: str | None = None
    samples: int = SAMPLES
    any_batch: bool = False
    plugins: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ExportError(
                f"precision: expected one of {', '.join(PRECISIONS)}, got {self.precision!r}"
            )
        if not self.batch or not all(1 <= rows <= MAX_BATCH for rows in self.batch):
            text = ",".join(map(str, self.batch)) or "none"
            raise ExportError(f"batch sizes must be between 1 and {MAX_BATCH}, got {text}")
        _ = self.calibration

    @cached_property
    def tensorrt(self) -> TensorRT:
        """TensorRT of the target; raises ExportError as `targets.choose`."""
        return targets.choose(self.target)

    @property
    def buckets(self) -> tuple[int, ...]:
        """Different batch sizes in increasing order."""
        return tuple(sorted(set(self.batch)))

    @property
    def profiles(self) -> tuple[tuple[int, int], ...]:
        """Least and greatest batch size of each profile; that of the runtime is the greatest."""
        if not (self.any_batch or self.plugins):
            return tuple((rows, rows) for rows in self.buckets)
        below = (0, *self.buckets)
        return tuple((least + 1, most) for least, most in zip(below, self.buckets, strict=False))

    @property
    def calibration(self) -> Calibration:
        return Calibration(self.calibrate, self.samples)


@dataclass(frozen=True)
class Checking:
    """Options of the checks of plans.

    With `run` False there are none. `images` is the number of images for the FID of a generator.
    With `max_loss`, in percent, `choice.choose` chooses the precision.

    Raises:
        ExportError: an invalid number, or a choice without checks.
    """

    run: bool = True
    images: int = quality.IMAGES
    max_loss: float | None = None

    def __post_init__(self) -> None:
        quality.check_limits(self.images, self.max_loss)
        if self.max_loss is not None and not self.run:
            raise ExportError("max-quality-loss needs the checks, which are turned off")


@dataclass(frozen=True)
class Build:
    """Bytes of a plan, sealed with their digest, and the manifest in them.

    `seconds` is the duration of the build, `layers` the number of layers for one batch size.
    """

    data: bytes
    document: dict[str, Any]
    seconds: float
    layers: int


@dataclass(frozen=True)
class Plan:
    """A written plan: its path, size in bytes, and build.

    `checked` are the results of its checks, None if it was not checked; `candidates` is the table
    of compared precisions, if one was chosen.
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
        """Describe the plan in one line."""
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
