"""Results of the checks of a plan, and the tolerances of each precision."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from export.checks import Check
from export.plan import quality

LEVELS = {
    "fp32": (1, 0.01),
    "tf32": (16, 0.3),
    "fp16": (16, 0.3),
    "bf16": (160, 2.0),
    "int8": (255, 5.0),
    "fp8": (255, 5.0),
}
"""Tolerated greatest and mean difference of a plan's images from fp32, in levels.

In half precision about twice the cost of rounding for the worst shipped engine; in eight bits twice
the tolerance on the calibration samples, and more, since other images may be unlike those. The mean
separates wrong plans from coarse ones; the maximum over many pixels has a long tail.
"""

NUMBERS = {"fp32": 1e-4, "tf32": 5e-3, "fp16": 5e-3, "bf16": 5e-2, "int8": 0.15, "fp8": 0.15}
"""Tolerated RMS difference of latents, styles and scores, relative to the standard deviation."""

NUMBERS_UNIT = "RMS / σ"
"""Unit of differences of numbers; those of images are in levels."""

DIFFERENT = "different"
"""Unit of checks for equality: the number of different values."""

BETWEEN = "as batch"
"""Part of the names of checks that compare two batch sizes."""


@dataclass
class Results:
    """Results of the checks of a plan.

    Attributes:
        device: name of the GPU.
        checks: all comparisons.
        throughput: rows/s by batch size.
        distance: from `quality.Distances.measure`; empty for other roles than generators.
        rms: RMS difference from fp32 in the largest batch, in percent of the standard deviation.
    """

    device: str
    checks: list[Check] = field(default_factory=list)
    throughput: dict[str, float] = field(default_factory=dict)
    distance: dict[str, Any] = field(default_factory=dict)
    rms: float = 0.0

    @property
    def loss(self) -> float:
        """Loss of quality in percent, rounded to hundredths.

        The increase of the FID, or without FIDs the RMS difference from fp32, relative to the
        standard deviation.
        """
        increase = quality.fid_increase(self.distance)
        return round(self.rms if increase is None else increase, 2)

    @property
    def loss_of(self) -> str:
        """Measure of the loss: "FID" or "RMS"."""
        return "RMS" if quality.fid_increase(self.distance) is None else "FID"

    @property
    def speed(self) -> float:
        """Rows/s in the largest batch size."""
        return list(self.throughput.values())[-1]

    def document(self) -> dict[str, Any]:
        """Build the JSON document beside the plan, which `zoo.inspect` shows as `plan.checks`."""
        document: dict[str, Any] = {"device": self.device}
        document["parity"] = self._worst(between=False)
        if between := self._worst(between=True):
            document["between_batch_sizes"] = between
        if self.distance:
            document["fid"] = self.distance
        document["loss"] = {"percent": self.loss, "of": self.loss_of}
        return document | {"throughput": self.throughput}

    def _worst(self, between: bool) -> dict[str, dict[str, float]]:
        """Return the worst result over all batch sizes for each probe."""
        worst: dict[str, dict[str, float]] = {}
        for check in self.checks:
            if check.unit == DIFFERENT or (BETWEEN in check.name) != between:
                continue
            entry = worst.setdefault(check.name.split(",")[0], {})
            values = {"rms": check.worst}
            if check.unit != NUMBERS_UNIT:
                values = {"max": check.worst, "mean": check.mean}
            for name, value in values.items():
                entry[name] = max(entry.get(name, 0.0), float(f"{value:.4g}"))
        return worst

    def summary(self) -> str:
        """Summarise the results in one line."""
        with_fp32 = [check for check in self.checks if BETWEEN not in check.name]
        images = [check.worst for check in with_fp32 if check.unit == "levels"]
        numbers = [check.worst for check in with_fp32 if check.unit == NUMBERS_UNIT]
        parts = [f"within {max(images):g} levels of fp32"] if images else []
        parts += [f"RMS difference from fp32 {max(numbers):.2g} σ"] if numbers else []
        if "plan" in self.distance:
            parts.append(f"FID {self.distance['plan']:.5g} (fp32 {self.distance['fp32']:.5g})")
        elif "missing" in self.distance:
            parts.append(f"no FID ({self.distance['missing']})")
        rates = ", ".join(f"{rate:,.0f}" for rate in self.throughput.values())
        unit = "rows" if numbers else "images"
        return "; ".join([*parts, f"{unit}/s on {self.device}: {rates}"])
