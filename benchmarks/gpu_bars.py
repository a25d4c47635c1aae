"""Throughput targets on a GPU, compared with a measurement."""

from __future__ import annotations

import math
from typing import Any

EAGER = "torch-fp32"
COMPILED = "compile-"

TIMES_EAGER = {1: 10.0, 256: 5.0}
"""Speed-up over PyTorch eager fp32, by batch size."""
TIMES_COMPILED = 1.5
"""Speed-up over torch.compile in its fastest precision, at every batch size."""
DCGAN_RATE = 1_000_000.0
"""Images per second of `dcgan` at the best batch size."""


def rate(row: dict[str, Any], where: str = "numpy") -> float | None:
    """Return a row's images per second; None if they were not measured."""
    value: float | None = (row.get(where) or {}).get("images_per_second")
    return value


def fastest(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the row with the most images per second into host memory; None if there is none."""
    measured = [row for row in rows if rate(row)]
    return max(measured, key=lambda row: rate(row) or 0.0) if measured else None


def bars(rows: list[dict[str, Any]], models: list[str], batches: list[int]) -> list[dict[str, Any]]:
    """Return every target with its numbers; `result` is "pass", "fail" or "not measured".

    The value is that of the fastest contender of this project, in any precision whose images passed
    the check, with results in host memory.
    """
    results = []
    for model in models:
        for batch, times in TIMES_EAGER.items():
            at = _at(rows, model, batch)
            eager = [row for row in at if row["key"] == EAGER]
            results.append(
                _ratio(f"{model}, batch {batch}: x PyTorch eager fp32", times, at, eager)
            )
        for batch in batches:
            at = _at(rows, model, batch)
            compiled = [row for row in at if row["key"].startswith(COMPILED)]
            what = f"{model}, batch {batch}: x torch.compile at its best precision"
            results.append(_ratio(what, TIMES_COMPILED, at, compiled))
    if "dcgan" in models:
        ours = fastest([row for row in rows if row["model"] == "dcgan" and row["ours"]])
        value = rate(ours) if ours else None
        results.append(_bar("dcgan: images/s", DCGAN_RATE, value, ours, None))
    return results


def _at(rows: list[dict[str, Any]], model: str, batch: int) -> list[dict[str, Any]]:
    return [row for row in rows if row["model"] == model and row["batch"] == batch]


def _ratio(
    what: str, target: float, rows: list[dict[str, Any]], peers: list[dict[str, Any]]
) -> dict[str, Any]:
    ours, peer = fastest([row for row in rows if row["ours"]]), fastest(peers)
    value = None
    if ours and peer:
        value = (rate(ours) or math.nan) / (rate(peer) or math.nan)
    return _bar(what, target, value, ours, peer)


def _bar(
    what: str,
    target: float,
    value: float | None,
    ours: dict[str, Any] | None,
    peer: dict[str, Any] | None,
) -> dict[str, Any]:
    result = "not measured" if value is None else "pass" if value >= target else "fail"
    return {
        "bar": what,
        "at_least": target,
        "value": value,
        "result": result,
        "ours": _summarise(ours),
        "peer": _summarise(peer),
    }


def _summarise(row: dict[str, Any] | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {key: row[key] for key in ("key", "precision", "batch")} | {
        "images_per_second": rate(row)
    }
