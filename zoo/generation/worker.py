"""A process that makes shards: it reads a plan and their numbers, and answers with entries."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import runtime
from zoo.errors import OutputError, ZooError, is_out_of_memory
from zoo.generation import index
from zoo.generation.plan import Plan
from zoo.generation.shards import WRITERS, Block
from zoo.images import png
from zoo.images.atomic import lock_output, replace_file, replace_folder

_ROWS = 256


class Maker:
    """Maker of the shards of a plan in a folder. Raises as `Source.open`."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        self.generator = plan.open()

    def make(self, shard: int) -> dict[str, object]:
        """Write a shard, which appears whole, and return its entry of the index.

        Waits while another process writes the shard, such as one that a killed run has left: it
        writes the same bytes.
        """
        plan = self.plan
        target = self.folder / plan.name(shard)
        with lock_output(_lock_name(target), wait=True):
            if target.is_dir():
                # `replace_folder` would keep files that are not in the new shard.
                shutil.rmtree(target)
            replace = replace_folder if plan.format == "png" else replace_file
            with replace(target) as temporary:
                WRITERS[plan.format](temporary, self._blocks(shard), plan.rows(shard)[1])
                sha256, size = index.digest(temporary)
        return {
            **plan.entry(shard),
            "sha256": sha256,
            "bytes": size,
            "version": runtime.__version__,
            "backend_used": self.generator.backend,
            "compressor": png.COMPRESSOR,
        }

    def _blocks(self, shard: int) -> Iterator[Block]:
        first, count = self.plan.rows(shard)
        for begin in range(0, count, _ROWS):
            rows = min(_ROWS, count - begin)
            yield self.plan.block(self.generator, first + begin, rows)


def _lock_name(target: Path) -> Path:
    """Return what is locked while a shard is made; the shard itself may be replaced by another."""
    return target.with_name(f"{target.name}.shard")


def remove_leftovers(plan: Plan, folder: Path, shard: int) -> None:
    """Remove the unfinished files of a shard whose process was killed, unless another makes it."""
    target = folder / plan.name(shard)
    with suppress(OutputError), lock_output(_lock_name(target)), lock_output(target):
        pass


class Worker:
    """Maker of shards that returns errors as lines, for a process that another one watches."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        self._maker: Maker | None = None

    def make(self, shard: int) -> dict[str, Any]:
        """Make a shard, and return {"entry": its entry} or {"error": what went wrong}."""
        try:
            # Opened here, so that errors of the engine are answers, too.
            self._maker = self._maker or Maker(self.plan, self.folder)
            return {"entry": self._maker.make(shard)}
        except (OSError, MemoryError, ZooError, runtime.errors.Error) as error:
            if isinstance(error, OutputError):
                return {"error": str(error)}
            reason = getattr(error, "strerror", None) or str(error)
            if is_out_of_memory(error):
                reason = "out of memory"
            return {"error": f"{self.folder / self.plan.name(shard)}: {reason}"}


def work() -> None:
    """Run the process: a plan on the first line, a folder on the next, then a shard on each."""
    # The parent process handles Ctrl-C, and ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    plan = Plan.from_json(sys.stdin.readline())
    worker = Worker(plan, Path(json.loads(sys.stdin.readline())))
    for line in sys.stdin:
        sys.stdout.write(json.dumps(worker.make(int(line))) + "\n")
        sys.stdout.flush()
