"""Runner of studies, which writes their results into benchmarks/results."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.machine import describe

RESULTS = Path(__file__).parent / "results"


def run(
    family: str,
    studies: dict[str, Callable[[Any], dict[str, Any]]],
    names: Sequence[str],
    argument: Any,
    **settings: Any,
) -> None:
    """Call the named studies with `argument`, and write FAMILY-NAME.json for each.

    The file holds the `settings`, the machine, and the study's result.
    """
    for name in names:
        result = {"study": name, **settings, "machine": describe(), **studies[name](argument)}
        path = RESULTS / f"{family}-{name}.json"
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        click.echo(path)
