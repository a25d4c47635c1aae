"""Plans of the target tensorrt, whose builder needs a GPU, built by TensorRT for RTX in its place.

`python tensorrt_plans.py OUT SOURCE [OPTION=JSON …]` is a process of its own, since the parser of
TensorRT for RTX finds plugins only where this project loads it first (export.plan.rtx_parser).
What differs from a real plan: the bytes of the network, which nothing here reads.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from export.plan import pipeline, targets
from export.plan.targets import TensorRT
from repository import ROOT, TESTS


def build(out: Path, source: Path, **options: Any) -> Path:
    """Build a plan in a new process; options are those of `pipeline.Options`."""
    texts = [f"{name}={json.dumps(value)}" for name, value in options.items()]
    paths = [ROOT, TESTS / "support"]
    done = subprocess.run(
        [sys.executable, __file__, str(out), str(source), *texts],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(map(str, paths)), "XDG_CACHE_HOME": str(out.parent)},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return out


def main() -> None:
    out, source, *texts = sys.argv[1:]
    options = {name: json.loads(value) for name, _, value in (t.partition("=") for t in texts)}
    rtx = targets.choose("tensorrt-rtx")
    targets.choose = lambda target=None: TensorRT("tensorrt", rtx.module, rtx.log)  # type: ignore[assignment]
    checking = pipeline.Checking(run=False)
    pipeline.export(Path(source), Path(out), pipeline.Options(**options), checking=checking)


if __name__ == "__main__":
    main()
