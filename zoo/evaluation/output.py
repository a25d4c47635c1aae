"""Reports as text and as JSON: of what was measured beside its model in PyTorch."""

from __future__ import annotations

import json
from typing import Any

from zoo.evaluation.features import FeatureNetwork
from zoo.evaluation.report import Report, compare, lines
from zoo.images.atomic import replace_file

Pair = tuple[Report, Report | None]
"""A report, and that of the PyTorch model if there is one."""


def text(pair: Pair, network: FeatureNetwork) -> list[str]:
    """What was measured, and the table of it."""
    report, other = pair
    return [
        f"{report.subject}: {report.count:,} images, {_seeds(report)}, against {report.against}",
        f"network {network}: images of {network.input}",
        *lines(report, other),
    ]


def note(manifest: dict[str, Any]) -> str | None:
    """What somebody should know of where the weights come from; None where there is nothing."""
    training = manifest["training"]
    adversarial = (training.get("recipe") or {}).get("adversarial")
    if not adversarial or training.get("measured_on") == "validation":
        return None
    return (
        f"these weights were watched on the test images of {training['data']} while they were "
        "trained, and the best epoch, where one was kept, was chosen by them: their numbers on "
        "those images owe a little to that"
    )


def _seeds(report: Report) -> str:
    if report.seeds == 1:
        return f"seed {report.seed}"
    last = report.seed + report.seeds - 1
    return f"each of seeds {report.seed} to {last} (± 95 %; a difference inside it is none)"


def write(path: str, pairs: list[Pair], manifest: dict[str, Any], network: FeatureNetwork) -> None:
    """Write reports as a JSON document, whole or not at all. Raises `OutputError`."""
    document = {
        "model": manifest["model"],
        "role": manifest["role"],
        "checkpoint_sha256": manifest["checkpoint_sha256"],
        "network": {
            "name": network.name,
            "weights_sha256": network.identity,
            "input": network.input,
        },
        "note": note(manifest),
        "reports": [_entry(*pair) for pair in pairs],
    }
    with replace_file(path) as temporary:
        temporary.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", "utf-8")


def _entry(report: Report, other: Report | None) -> dict[str, Any]:
    differences = [] if other is None else compare(report, other)
    return {
        **report.document(),
        "pytorch": None if other is None else other.document(),
        "differences": {entry.name: entry.value for entry in differences},
    }


__all__ = ["Pair", "note", "text", "write"]
