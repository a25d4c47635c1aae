"""The fastest plan among those of all precisions whose quality is good enough."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from export.errors import ParityError
from export.plan import precision
from export.plan.builder import Settings
from export.plan.checks import Examiner, NotRun
from export.plan.results import Results
from runtime import manifest
from runtime.errors import Error as RuntimeFailure
from zoo.errors import ZooError
from zoo.tables import aligned

if TYPE_CHECKING:
    from export.plan.checked import Build, Checking
    from export.plan.pipeline import Plan


@dataclass(frozen=True)
class Chosen:
    """A plan, what its checks found, its bytes, and how it was built."""

    plan: Plan
    found: Results
    data: bytes
    settings: Settings


def choose(
    build: Build,
    folder: Path,
    name: str,
    settings: Settings,
    checking: Checking,
    examiner: Examiner,
    say: Callable[[str], None],
) -> Chosen:
    """Build and check a plan in each precision; the fastest whose loss is small enough.

    The speed is that of the largest batch size, the loss `Results.loss`.

    Args:
        build: builds a plan.
        folder: where there is room for the plans while they are compared.
        name: of the file, for messages.
        settings: how to build, but for the precision.
        checking: its `max_loss` is the greatest loss, in percent.
        examiner: checks them.
        say: called with one line before each step.

    Raises:
        ParityError: no precision is good enough; `report` is the table of all.
    """
    assert checking.max_loss is not None
    made: list[Chosen] = []
    problems: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix=".zoo-", dir=folder) as temporary:
        for candidate in precision.PRECISIONS:
            wanted = replace(settings, precision=candidate)
            path = Path(temporary) / f"{candidate}.plan"
            say(f"trying {candidate} for {name}")
            try:
                plan = build(path, wanted, None)
                if candidate in precision.EIGHT_BITS and not _calibrated(path):
                    # The same as fp16, by another name.
                    problems[candidate] = "no layer in eight bits"
                    continue
                found = examiner.check(path, name, wanted)
            except (NotRun, ZooError, RuntimeFailure) as error:
                problems[candidate] = " ".join(str(error).split())
                continue
            made.append(Chosen(plan, found, path.read_bytes(), wanted))
    within = [one for one in made if one.found.loss <= checking.max_loss]
    kept = max(within, key=lambda one: one.found.speed, default=None)
    report = _table(made, problems, kept, checking.max_loss, settings.buckets[-1])
    if kept is None:
        raise ParityError(
            f"no precision of {name} loses at most {checking.max_loss:g} %; nothing was kept; "
            "raise --max-quality-loss, or give --precision",
            report,
        )
    return replace(kept, plan=replace(kept.plan, candidates=report))


def _calibrated(plan: Path) -> bool:
    """Whether layers of a plan run in eight bits."""
    return "calibration" in manifest.read(plan)["plan"]


def _table(
    made: list[Chosen], problems: dict[str, str], kept: Chosen | None, most: float, rows: int
) -> str:
    """The candidates as aligned text, in the order in which they were tried."""
    lines = [("precision", "loss %", "of", f"rows/s at batch {rows}", "bytes", "")]
    by_precision = {one.settings.precision: one for one in made}
    for candidate in precision.PRECISIONS:
        if candidate in problems:
            lines.append((candidate, "", "", "", "", problems[candidate]))
            continue
        one = by_precision[candidate]
        found, size = one.found, f"{one.plan.size:,}"
        verdict = "kept" if one is kept else "slower"
        if found.loss > most:
            verdict = f"above {most:g} %"
        numbers = (f"{found.loss:.2f}", found.loss_of, f"{found.speed:,.0f}", size)
        lines.append((candidate, *numbers, verdict))
    return "\n".join(aligned(lines, right=(1, 3, 4)))


__all__ = ["Chosen", "choose"]
