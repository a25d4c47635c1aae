"""A process that makes shards: it reads a plan and their numbers, and answers with entries."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import runtime
from runtime import Generator
from zoo.errors import ZooError
from zoo.generation import index
from zoo.generation.plan import Plan
from zoo.generation.shards import WRITERS, Block
from zoo.images import png
from zoo.images.atomic import replace_file, replace_folder

_ROWS = 256


class Maker:
    """Maker of the shards of a plan in a folder."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        self.generator = Generator(plan.engine, **plan.options)

    def make(self, shard: int) -> dict[str, object]:
        """Write a shard, which appears whole, and return its entry of the index."""
        plan = self.plan
        target = self.folder / plan.name(shard)
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
        plan, generator = self.plan, self.generator
        first, count = plan.rows(shard)
        classes = generator.class_count
        options: dict[str, Any] = {"prior": plan.prior, "truncation": plan.truncation}
        labels = None if plan.labels is None else np.array(plan.labels, np.int64)
        for begin in range(0, count, _ROWS):
            rows = min(_ROWS, count - begin)
            start = first + begin
            images = generator.sample(
                rows, plan.seed, start, labels=labels, cycle=labels is not None, **options
            )
            own = None
            if classes:
                places = [
                    (start + row) % (classes if labels is None else len(labels))
                    for row in range(rows)
                ]
                own = np.array(places, np.int64) if labels is None else labels[places]
            yield Block(images, plan.seed, start, own, tuple(generator.classes))


def work() -> None:
    """Run the process: a plan and a folder on the first line, then a shard on each."""
    # The parent process handles Ctrl-C, and ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    start = json.loads(sys.stdin.readline())
    maker = Maker(Plan(**start["plan"]), Path(start["folder"]))
    for line in sys.stdin:
        try:
            answer: dict[str, Any] = {"entry": maker.make(int(line))}
        except (OSError, ZooError, runtime.errors.Error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            answer = {"error": f"{maker.folder / maker.plan.name(int(line))}: {reason}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
