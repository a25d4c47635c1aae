"""Output of reports as text and JSON."""

from __future__ import annotations

import json
from typing import Any

from zoo.evaluation.face_edits import Truth
from zoo.evaluation.features import FeatureNetwork
from zoo.evaluation.report import Report, compare, lines
from zoo.images.atomic import replace_file

Pair = tuple[Report, Report | None]
"""A report, and that of the PyTorch model, if any."""


def text(pair: Pair, network: FeatureNetwork) -> list[str]:
    """Format a heading and a table as lines of text."""
    report, other = pair
    return [
        f"{report.subject}: {report.count:,} images, {_seeds(report)}, against {report.against}",
        f"network {network}: images of {network.input}",
        *([report.details] if report.details else []),
        *lines(report, other),
    ]


def note(manifest: dict[str, Any]) -> str | None:
    """Return a note on weights that were selected on test images, or None."""
    training = manifest["training"]
    adversarial = (training.get("recipe") or {}).get("adversarial")
    if not adversarial or training.get("measured_on") == "validation":
        return None
    return (
        f"training was monitored on the test images of {training['data']}, and the best epoch may "
        "have been chosen by them: the numbers on those images are slightly biased"
    )


def _seeds(report: Report) -> str:
    if report.seeds == 1:
        return f"seed {report.seed}"
    last = report.seed + report.seeds - 1
    return f"each of seeds {report.seed} to {last} (± 95 %; differences within it are none)"


def write(
    path: str,
    pairs: list[Pair],
    manifest: dict[str, Any],
    network: FeatureNetwork,
    truth: Truth | None = None,
) -> None:
    """Write reports, and scores of edits against the truth, as JSON. Raises `OutputError`."""
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
        **({} if truth is None else {"counterfactuals": truth.document()}),
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
