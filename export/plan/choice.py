"""The fastest plan among those of all precisions whose quality is good enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from export.errors import ParityError
from export.plan.results import Results
from export.plan.types import Build, Options
from zoo.tables import align_columns


@dataclass
class Candidate:
    """How a plan is built, what came of that, and what its checks found.

    `problem` says why it was not built, or not checked.
    """

    options: Options
    build: Build | None = None
    results: Results | None = None
    problem: str = ""


def choose(candidates: Sequence[Candidate], max_loss: float, name: str) -> tuple[Candidate, str]:
    """The fastest of the candidates whose loss is small enough, and the table of all.

    The speed is that of the largest batch size, the loss `Results.loss`.

    Args:
        candidates: in the order of the table.
        max_loss: the greatest loss, in percent.
        name: of the file, for messages.

    Raises:
        ParityError: none is good enough; `report` is the table.
    """
    kept, speed = None, -1.0
    for candidate in candidates:
        results = candidate.results
        if results and results.loss <= max_loss and results.speed > speed:
            kept, speed = candidate, results.speed
    table = _table(candidates, kept, max_loss)
    if kept is None:
        raise ParityError(
            f"no precision of {name} loses at most {max_loss:g} %; nothing was kept; "
            "raise --max-quality-loss, or give --precision",
            table,
        )
    return kept, table


def _table(candidates: Sequence[Candidate], kept: Candidate | None, max_loss: float) -> str:
    rows = candidates[0].options.buckets[-1]
    lines = [("precision", "loss %", "of", f"rows/s at batch {rows}", "bytes", "")]
    for candidate in candidates:
        precision, found, build = candidate.options.precision, candidate.results, candidate.build
        if found is None or build is None:
            lines.append((precision, "", "", "", "", candidate.problem))
            continue
        verdict = "kept" if candidate is kept else "slower"
        if found.loss > max_loss:
            verdict = f"above {max_loss:g} %"
        numbers = (f"{found.loss:.2f}", found.loss_of, f"{found.speed:,.0f}")
        lines.append((precision, *numbers, f"{len(build.data):,}", verdict))
    return "\n".join(align_columns(lines, right=(1, 3, 4)))
