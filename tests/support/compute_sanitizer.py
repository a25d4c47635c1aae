"""Runs programs under NVIDIA's compute-sanitizer."""

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
    """Return its path: on PATH, or in the CUDA toolkit of CUDA_HOME, nvcc, or /usr/local."""
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
    """Return the number of errors or hazards in its summary lines.

    Raises:
        AssertionError: there is no summary, so that it did not watch the program.
    """
    counts = re.findall(_SUMMARY[tool], said)
    assert counts, f"{tool} has no summary:\n{said[-3000:]}"
    return sum(map(int, counts))


def run(tool: str, command: Sequence[object]) -> tuple[int, str]:
    """Run a program and its children under a tool; return the exit status and the output."""
    program = find()
    assert program, f"{PROGRAM} is not installed"
    options = ["--tool", tool, "--target-processes", "all"]
    if tool == "memcheck":
        # PyTorch makes calls of CUDA that may fail: no errors of our kernels.
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
