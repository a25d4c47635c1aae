"""What the checks of a plan found, and what each precision may differ by from fp32."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from export.checks import Check, format_table
from export.plan import quality

LEVELS = {
    "fp32": (1, 0.01),
    "tf32": (16, 0.3),
    "fp16": (16, 0.3),
    "bf16": (160, 2.0),
    "int8": (255, 5.0),
    "fp8": (255, 5.0),
}
"""Greatest and mean difference in levels that the images of a plan may have from fp32.

In half precision about twice what rounding alone costs the worst of the shipped engines; in eight
bits twice what is allowed for the samples of the calibration, and more for pictures unlike those.
The mean tells a wrong plan from a coarse one; the greatest of many pixels has a long tail.
"""

NUMBERS = {"fp32": 1e-4, "tf32": 5e-3, "fp16": 5e-3, "bf16": 5e-2, "int8": 0.15, "fp8": 0.15}
"""RMS difference that latents, styles and scores may have, in parts of the standard deviation."""

NUMBERS_UNIT = "RMS / σ"
"""Unit of differences between numbers; differences between images are in levels."""

DIFFERENT = "different"
"""Unit of checks for equality: how many numbers differ."""

BETWEEN = "as batch"
"""Part of the names of checks that compare two batch sizes."""


@dataclass
class Results:
    """What was found out about a plan.

    Attributes:
        device: the GPU's name.
        checks: all comparisons.
        throughput: rows/s by batch size.
        distance: of `quality.Distances.measure`; empty for what has no images of a prior.
        rms: RMS difference from fp32 in the largest batch, in percent of the standard deviation.
    """

    device: str
    checks: list[Check] = field(default_factory=list)
    throughput: dict[str, float] = field(default_factory=dict)
    distance: dict[str, Any] = field(default_factory=dict)
    rms: float = 0.0

    @property
    def loss(self) -> float:
        """What the precision costs, in percent, rounded to hundredths.

        By how much the FID grows; where there is none, the RMS difference from fp32 in parts of
        the standard deviation.
        """
        growth = quality.growth(self.distance)
        return round(self.rms if growth is None else growth, 2)

    @property
    def loss_of(self) -> str:
        """What the quality loss measures: FID or RMS."""
        return "RMS" if quality.growth(self.distance) is None else "FID"

    @property
    def speed(self) -> float:
        """Rows/s in the largest batch size."""
        return list(self.throughput.values())[-1]

    def document(self) -> dict[str, Any]:
        """The file beside the plan, which `zoo.inspect` shows as `plan.checks`."""
        found: dict[str, Any] = {"device": self.device}
        found["parity"] = self._worst(between=False)
        if between := self._worst(between=True):
            found["between_batch_sizes"] = between
        if self.distance:
            found["fid"] = self.distance
        found["loss"] = {"percent": self.loss, "of": self.loss_of}
        return found | {"throughput": self.throughput}

    def _worst(self, between: bool) -> dict[str, dict[str, float]]:
        """The worst result over all batch sizes for each output of the engine."""
        found: dict[str, dict[str, float]] = {}
        for check in self.checks:
            if check.unit == DIFFERENT or (BETWEEN in check.name) != between:
                continue
            entry = found.setdefault(check.name.split(",")[0], {})
            values = {"rms": check.worst}
            if check.unit != NUMBERS_UNIT:
                values = {"max": check.worst, "mean": check.mean}
            for name, value in values.items():
                entry[name] = max(entry.get(name, 0.0), float(f"{value:.4g}"))
        return found

    def summary(self) -> str:
        """What matters, for people."""
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
        return "; ".join([*parts, f"{self._unit}/s on {self.device}: {rates}"])

    @property
    def _unit(self) -> str:
        return "rows" if any(c.unit == NUMBERS_UNIT for c in self.checks) else "images"

    def format_table(self) -> str:
        """All comparisons as text."""
        return format_table(self.checks)
