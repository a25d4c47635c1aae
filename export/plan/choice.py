"""Choice of the fastest plan among those whose quality is good enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from export.errors import ParityError
from export.plan.results import Results
from export.plan.types import Build, Options
from zoo.tables import align_columns


@dataclass
class Candidate:
    """Options of a plan, the build, and the results of its checks.

    `problem` is the reason if it was not built or not checked.
    """

    options: Options
    build: Build | None = None
    results: Results | None = None
    problem: str = ""


def choose(candidates: Sequence[Candidate], max_loss: float, name: str) -> tuple[Candidate, str]:
    """Choose the fastest candidate whose loss is small enough; also return the table of all.

    The speed is that of the largest batch size, the loss `Results.loss`.

    Args:
        candidates: in the order of the table.
        max_loss: greatest loss allowed, in percent.
        name: of the file, for messages.

    Raises:
        ParityError: no candidate is good enough; `report` is the table.
    """
    best, speed = None, -1.0
    for candidate in candidates:
        results = candidate.results
        if results and results.loss <= max_loss and results.speed > speed:
            best, speed = candidate, results.speed
    table = _format_table(candidates, best, max_loss)
    if best is None:
        raise ParityError(
            f"no precision of {name} loses at most {max_loss:g} %, and no plan was kept; "
            "raise --max-quality-loss, or pass --precision",
            table,
        )
    return best, table


def _format_table(candidates: Sequence[Candidate], best: Candidate | None, max_loss: float) -> str:
    rows = candidates[0].options.buckets[-1]
    lines = [("precision", "loss %", "of", f"rows/s at batch {rows}", "bytes", "")]
    for candidate in candidates:
        precision, results, build = candidate.options.precision, candidate.results, candidate.build
        if results is None or build is None:
            lines.append((precision, "", "", "", "", candidate.problem))
            continue
        verdict = "kept" if candidate is best else "slower"
        if results.loss > max_loss:
            verdict = f"above {max_loss:g} %"
        numbers = (f"{results.loss:.2f}", results.loss_of, f"{results.speed:,.0f}")
        lines.append((precision, *numbers, f"{len(build.data):,}", verdict))
    return "\n".join(align_columns(lines, right=(1, 3, 4)))
