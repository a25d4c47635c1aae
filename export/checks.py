"""Comparisons of the outputs of an engine file with the expected ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.tables import align_columns


@dataclass(frozen=True)
class Check:
    """A comparison, which passes if `worst` and `mean` are not above their limits.

    With the unit "different", the two are the number and the share of values that are not
    bit-equal; with "levels" or "", the greatest and the mean absolute difference.
    """

    engine: str
    name: str
    worst: float
    mean: float
    limit: float
    mean_limit: float
    unit: str

    @property
    def passed(self) -> bool:
        """True if within both limits; NaN does not pass."""
        return self.worst <= self.limit and self.mean <= self.mean_limit


def compare_exact(engine: str, name: str, got: NDArray[Any], expected: NDArray[Any]) -> Check:
    """Require all values to be bit-equal."""
    if got.shape != expected.shape or got.dtype != expected.dtype:
        return Check(engine, f"{name} (shape or dtype)", np.inf, np.inf, 0, 0, "different")
    word = np.dtype(f"u{got.dtype.itemsize}")
    different = np.ascontiguousarray(got).view(word) != np.ascontiguousarray(expected).view(word)
    return Check(engine, name, int(different.sum()), float(different.mean()), 0, 0, "different")


def compare_close(
    engine: str,
    name: str,
    got: NDArray[Any],
    expected: NDArray[Any],
    limit: float,
    mean_limit: float,
    unit: str = "",
) -> Check:
    """Require absolute differences within `limit`, and their mean within `mean_limit`."""
    if got.shape != expected.shape:
        return Check(engine, f"{name} (shape)", np.inf, np.inf, limit, mean_limit, unit)
    difference = np.abs(got.astype(np.float64) - expected.astype(np.float64))
    return Check(
        engine, name, float(difference.max()), float(difference.mean()), limit, mean_limit, unit
    )


def relative_rms(got: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the RMS difference, relative to the standard deviation of the expected values."""
    if got.shape != expected.shape:
        return float("inf")
    one, other = got.astype(np.float64), expected.astype(np.float64)
    rms, spread = float(np.sqrt(np.mean((one - other) ** 2))), float(other.std())
    return rms / spread if spread else (0.0 if rms == 0 else float("inf"))


def format_table(checks: Sequence[Check]) -> str:
    """Format the checks as an aligned table in plain text."""
    rows = [("file", "check", "max", "mean", "limit", "unit", "")]
    for check in checks:
        numbers = (check.worst, check.mean, check.limit, check.mean_limit)
        worst, mean, limit, mean_limit = (f"{number:.3g}" for number in numbers)
        verdict = "ok" if check.passed else "FAILED"
        limits = f"{limit} / {mean_limit}"
        rows.append((check.engine, check.name, worst, mean, limits, check.unit, verdict))
    return "\n".join(align_columns(rows))


def summarise(checks: Sequence[Check]) -> dict[str, dict[str, float]]:
    """Return the checks of one file as the field `parity` of its manifest."""
    return {
        check.name: {"max": float(f"{check.worst:.4g}"), "mean": float(f"{check.mean:.4g}")}
        for check in checks
    }
