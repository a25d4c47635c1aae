"""Build, check, and build again with what was found in the plan's manifest."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.errors import ExportError
from export.plan import choice, quality
from export.plan.builder import Settings
from export.plan.checks import Examiner, NotRun, why_not
from export.plan.results import Results
from zoo.evaluation.references import LEAST

if TYPE_CHECKING:
    from export.plan.pipeline import Plan

Build = Callable[[Path, Settings, dict[str, Any] | None], "Plan"]
"""Writes a plan at a place, with that object `plan.checks` in its manifest."""

MOST_IMAGES = 1_000_000


@dataclass(frozen=True)
class Checking:
    """How plans are checked once they are built.

    `run` False leaves them unchecked. `images` is how many a generator's FID is of. `max_loss`, in
    percent, is for who leaves the choice of the precision to `choice.choose`.

    Raises:
        ExportError: numbers that make no sense, or a choice without checks.
    """

    run: bool = True
    images: int = quality.IMAGES
    max_loss: float | None = None

    def __post_init__(self) -> None:
        if not LEAST <= self.images <= MOST_IMAGES:
            raise ExportError(
                f"check-images: expected {LEAST} to {MOST_IMAGES:,}, got {self.images:,}"
            )
        if self.max_loss is None:
            return
        if not (math.isfinite(self.max_loss) and self.max_loss >= 0):
            raise ExportError(
                f"max-quality-loss: expected a number of percent, 0 or more, got {self.max_loss:g}"
            )
        if not self.run:
            raise ExportError("max-quality-loss: plans are chosen by their checks, which are off")

    def require(self, settings: Settings) -> None:
        """Raise ExportError where a choice was asked for that is made, or cannot be made here."""
        if self.max_loss is None:
            return
        if settings.precision != "fp32":
            raise ExportError(
                f"max-quality-loss chooses the precision: expected none, got {settings.precision}"
            )
        if reason := why_not():
            raise ExportError(
                "max-quality-loss: the fastest plan is found by running them, on a GPU of the kind "
                f"that they are for: {reason}; give --precision instead"
            )


def write(
    build: Build,
    engine: Path,
    place: Path,
    name: str,
    settings: Settings,
    checking: Checking,
    say: Callable[[str], None],
) -> Plan:
    """Build the plan of one engine, and check it where it can run.

    Args:
        build: builds it.
        engine: what it is made from.
        place: where to write it, a temporary name.
        name: of the file, for messages.
        settings: how to build it; the precision is left to `choice` where one is to be chosen.
        checking: how to check it.
        say: called with one line before each step, and where there is no check.

    Raises:
        ParityError: the plan does not do what the engine does.
        ExportError: as `build`, `Examiner.check` and `choice.choose`.
    """
    if checking.max_loss is None:
        plan = build(place, settings, None)
        if not checking.run:
            return plan
        if reason := why_not():
            say(f"{name} is not checked: {reason}")
            return plan
        say(f"checking {name}")
    try:
        with Examiner(engine, checking.images, say) as examiner:
            if checking.max_loss is None:
                found = examiner.check(place, name, settings)
                return numbered(build, plan, found, place, name, settings, examiner, say)
            chosen = choice.choose(build, place.parent, name, settings, checking, examiner, say)
            place.write_bytes(chosen.data)
            plan, found, settings = chosen.plan, chosen.found, chosen.settings
            return numbered(build, plan, found, place, name, settings, examiner, say)
    except NotRun as error:
        if checking.max_loss is not None:
            raise ExportError(f"max-quality-loss: {name} cannot be checked: {error}") from error
        say(f"{name} is not checked: {error}")
        return plan


def numbered(
    build: Build,
    plan: Plan,
    found: Results,
    place: Path,
    name: str,
    settings: Settings,
    examiner: Examiner,
    say: Callable[[str], None],
) -> Plan:
    """Build a plan that was checked again, with the numbers in its manifest.

    The manifest is the network's name, which is given before a build. The second plan must give the
    first one's answers bit for bit; else it is checked as well, and a third one gets its numbers.
    Where it cannot be built or run, the first one is kept as it is.
    """
    plan = first = replace(plan, checked=found)
    data = place.read_bytes()

    def unnumbered(error: Exception) -> Plan:
        place.write_bytes(data)
        say(f"what the checks found is not in the manifest of {name}: {error}")
        return first

    for repeatable in (True, False):
        document = found.document()
        if not repeatable:
            document["repeatable"] = False
        try:
            again = build(place, settings, document)
        except ExportError as error:
            return unnumbered(error)
        seconds = plan.seconds + again.seconds
        plan = replace(again, seconds=seconds, checked=found, candidates=plan.candidates)
        try:
            if examiner.same(place, name, settings, found):
                return plan
            say(f"{name}, built again, gives other answers, and is checked again")
            found = examiner.check(place, name, settings)
        except NotRun as error:
            return unnumbered(error)
    return replace(plan, checked=found)


__all__ = ["Build", "Checking", "numbered", "write"]
