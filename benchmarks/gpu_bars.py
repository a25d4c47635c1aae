"""What this project promises of a GPU, held against a measurement."""

from __future__ import annotations

import math
from typing import Any

EAGER = "torch-fp32"
COMPILED = "compile-"

TIMES_EAGER = {1: 10.0, 256: 5.0}
"""Times PyTorch eager fp32, by batch size."""
TIMES_COMPILED = 1.5
"""Times torch.compile in the precision that is its fastest, at every batch size."""
DCGAN_RATE = 1_000_000.0
"""Images of `dcgan` a second, at the best batch size."""


def rate(row: dict[str, Any], where: str = "numpy") -> float | None:
    """Images a second of a row; None where they were not measured."""
    value: float | None = (row.get(where) or {}).get("images_per_second")
    return value


def fastest(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The row with the most images a second into host memory; None without any."""
    measured = [row for row in rows if rate(row)]
    return max(measured, key=lambda row: rate(row) or 0.0) if measured else None


def bars(rows: list[dict[str, Any]], models: list[str], batches: list[int]) -> list[dict[str, Any]]:
    """Every bar with its numbers; `result` is "pass", "fail" or "not measured".

    Ours is the fastest of this project's contenders, in any precision whose images passed the
    check, with results in host memory. What could not be measured is not a pass.
    """
    found = []
    for model in models:
        for batch, times in TIMES_EAGER.items():
            at = _at(rows, model, batch)
            eager = [row for row in at if row["key"] == EAGER]
            found.append(_ratio(f"{model}, batch {batch}: x PyTorch eager fp32", times, at, eager))
        for batch in batches:
            at = _at(rows, model, batch)
            compiled = [row for row in at if row["key"].startswith(COMPILED)]
            what = f"{model}, batch {batch}: x torch.compile at its best precision"
            found.append(_ratio(what, TIMES_COMPILED, at, compiled))
    if "dcgan" in models:
        ours = fastest([row for row in rows if row["model"] == "dcgan" and row["ours"]])
        value = rate(ours) if ours else None
        found.append(_bar("dcgan: images/s", DCGAN_RATE, value, ours, None))
    return found


def _at(rows: list[dict[str, Any]], model: str, batch: int) -> list[dict[str, Any]]:
    return [row for row in rows if row["model"] == model and row["batch"] == batch]


def _ratio(
    what: str, wanted: float, rows: list[dict[str, Any]], peers: list[dict[str, Any]]
) -> dict[str, Any]:
    ours, peer = fastest([row for row in rows if row["ours"]]), fastest(peers)
    value = None
    if ours and peer:
        value = (rate(ours) or math.nan) / (rate(peer) or math.nan)
    return _bar(what, wanted, value, ours, peer)


def _bar(
    what: str,
    wanted: float,
    value: float | None,
    ours: dict[str, Any] | None,
    peer: dict[str, Any] | None,
) -> dict[str, Any]:
    result = "not measured" if value is None else "pass" if value >= wanted else "fail"
    return {
        "bar": what,
        "at_least": wanted,
        "value": value,
        "result": result,
        "ours": _named(ours),
        "peer": _named(peer),
    }


def _named(row: dict[str, Any] | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {key: row[key] for key in ("key", "precision", "batch")} | {
        "images_per_second": rate(row)
    }
