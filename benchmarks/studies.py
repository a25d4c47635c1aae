"""Studies of what a model is for: run by name, their results in benchmarks/results."""

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
    """Call the studies of these names with `argument`, and write FAMILY-NAME.json of each.

    The file holds the `settings`, the machine, and what the study returns.
    """
    for name in names:
        result = {"study": name, **settings, "machine": describe(), **studies[name](argument)}
        path = RESULTS / f"{family}-{name}.json"
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        click.echo(path)
