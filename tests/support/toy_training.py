"""The training command on toy data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def train_command(*options: object, module: str = "zoo.train") -> list[str]:
    return [sys.executable, "-m", module, *map(str, options)]


def run_training(*options: object, module: str = "zoo.train") -> subprocess.CompletedProcess[str]:
    return subprocess.run(train_command(*options, module=module), capture_output=True, text=True)


def toy_options(toy_file: Path, out: Path) -> list[object]:
    return ["vae", "--data", toy_file, "--out", out, "--batch-size", 32, "--cpu", "--threads", 1]
