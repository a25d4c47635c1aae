"""NVIDIA's compute-sanitizer: where it is, and what it found."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

PROGRAM = "compute-sanitizer"

_SUMMARY = {
    "memcheck": r"ERROR SUMMARY: (\d+) error",
    "racecheck": r"RACECHECK SUMMARY: (\d+) hazard",
}


def find() -> str | None:
    """Its path: on the PATH, or in a CUDA toolkit: CUDA_HOME's, nvcc's, or the usual one."""
    homes = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")]
    nvcc = shutil.which("nvcc")
    homes += [str(Path(nvcc).resolve().parent.parent)] if nvcc else []
    folders = [
        str(Path(home) / part)
        for home in [*homes, "/usr/local/cuda"]
        if home
        for part in ("bin", "compute-sanitizer")
    ]
    return shutil.which(PROGRAM) or shutil.which(PROGRAM, path=os.pathsep.join(folders))


def findings(tool: str, said: str) -> int:
    """How many errors or hazards its last lines tell of.

    Raises:
        AssertionError: they tell of none at all: it did not watch the program.
    """
    counts = re.findall(_SUMMARY[tool], said)
    assert counts, f"{tool} has no summary:\n{said[-3000:]}"
    return sum(map(int, counts))


def run(tool: str, command: Sequence[object]) -> tuple[int, str]:
    """A program and its children under a tool; the exit status, and all that was said."""
    program = find()
    assert program, f"{PROGRAM} is not installed"
    options = ["--tool", tool, "--target-processes", "all"]
    if tool == "memcheck":
        # PyTorch asks CUDA for things that it can do without: no errors of our kernels.
        options += ["--report-api-errors", "no"]
    done = subprocess.run(
        [program, *options, *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        # Each tensor is an allocation of its own, whose ends are known.
        env=os.environ | {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"},
    )
    return done.returncode, done.stdout + done.stderr
