"""Results of comparing what an engine file gives with what it should give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Check:
    """One comparison. It passes if `worst` and `mean` are not above their limits.

    `unit` says what is counted: "different" for the number (and share) of values
    that are not bit-equal, "levels" or "" for an absolute difference.
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
        """Whether the file may be kept; a NaN does not pass."""
        return self.worst <= self.limit and self.mean <= self.mean_limit


def exact(engine: str, name: str, got: NDArray[Any], expected: NDArray[Any]) -> Check:
    """All values must be bit-equal."""
    if got.shape != expected.shape or got.dtype != expected.dtype:
        return Check(engine, f"{name} (shape or dtype)", np.inf, np.inf, 0, 0, "different")
    word = np.dtype(f"u{got.dtype.itemsize}")
    different = np.ascontiguousarray(got).view(word) != np.ascontiguousarray(expected).view(word)
    return Check(engine, name, int(different.sum()), float(different.mean()), 0, 0, "different")


def close(
    engine: str,
    name: str,
    got: NDArray[Any],
    expected: NDArray[Any],
    limit: float,
    mean_limit: float,
    unit: str = "",
) -> Check:
    """The absolute differences must stay within a limit, and their mean within another."""
    if got.shape != expected.shape:
        return Check(engine, f"{name} (shape)", np.inf, np.inf, limit, mean_limit, unit)
    difference = np.abs(got.astype(np.float64) - expected.astype(np.float64))
    return Check(
        engine, name, float(difference.max()), float(difference.mean()), limit, mean_limit, unit
    )


def table(checks: Sequence[Check]) -> str:
    """The checks as aligned plain text."""
    head = ("file", "check", "max", "mean", "limit", "unit", "")
    rows = [
        (
            check.engine,
            check.name,
            _number(check.worst),
            _number(check.mean),
            f"{_number(check.limit)} / {_number(check.mean_limit)}",
            check.unit,
            "ok" if check.passed else "FAILED",
        )
        for check in checks
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, *rows]
    )


def summary(checks: Sequence[Check]) -> dict[str, dict[str, float]]:
    """The checks of one file for its manifest."""
    return {
        check.name: {"max": float(f"{check.worst:.4g}"), "mean": float(f"{check.mean:.4g}")}
        for check in checks
    }


def _number(value: float) -> str:
    return f"{value:.3g}"
