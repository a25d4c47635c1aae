"""Commands of the zoo."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path


def command(name: str, *args: object) -> None:
    """Run `python -m zoo.NAME ARGS…` in this process."""
    print(f"zoo.{name}", *args, file=sys.stderr)
    import_module(f"zoo.{name}").main(list(map(str, args)), standalone_mode=False)


def train(name: str, out: Path, *args: object) -> None:
    """Train the model `name` with other options of `zoo.train`, on one thread, into a new folder.

    In a process of its own, as accelerate keeps the first precision of a process.
    """
    options = ["--threads", "1", "--quiet", "--out", str(out), *map(str, args)]
    print("zoo.train", name, *options, file=sys.stderr)
    subprocess.run([sys.executable, "-m", "zoo.train", name, *options], check=True)
