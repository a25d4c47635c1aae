"""How far a build is, on one line of a terminal."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from export.plan.flavours import Flavour
from zoo.console import rewrites_lines


@contextmanager
def progress(flavour: Flavour, config: Any, name: str) -> Iterator[None]:
    """A line on a terminal that tells how far the build is, where the bindings can say."""
    base = getattr(flavour.module, "IProgressMonitor", None)
    shown = rewrites_lines(sys.stderr) and hasattr(config, "progress_monitor")
    if base is None or not shown:
        yield
        return
    lock = threading.Lock()

    class Monitor(base):  # type: ignore[misc, valid-type]
        """Shows the phase that began last; called from several threads."""

        def __init__(self) -> None:
            super().__init__()
            self.steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.steps[phase_name] = num_steps
            self.show(phase_name, 0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self.show(phase_name, step + 1)
            return True

        def phase_finish(self, phase_name: str) -> None:
            self.steps.pop(phase_name, None)

        def show(self, phase: str, step: int) -> None:
            with lock:
                of = max(self.steps.get(phase, 1), 1)
                bar = "█" * (20 * min(step, of) // of)
                sys.stderr.write(f"\r{name}  {bar:░<20}  {phase} {step}/{of}\x1b[K")
                sys.stderr.flush()

    config.progress_monitor = monitor = Monitor()
    try:
        yield
    finally:
        del monitor
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
