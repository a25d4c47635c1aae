"""Tests that need a GPU are counted and skipped, or refused; each test has one thread."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import torch

from gpus import why_no_gpu


def run_pytest(repository: Path, *arguments: str) -> tuple[int, str]:
    """Run pytest on a file of tests that need a GPU; return the exit status and the output."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        + ["tests/gpu/test_on_gpu_kernels.py"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_gpu_tests_are_skipped_by_number(repository: Path) -> None:
    if why_no_gpu():
        # As `make test` runs them: a process of pytest-xdist collects, and another one counts.
        status, output = run_pytest(repository, "-p", "no:benchmark", "--numprocesses=1")
        counted = re.search(r"^(\d+) tests need a GPU and were not run", output, re.MULTILINE)
        assert counted and int(counted[1]) > 50
        assert status == 0 and f"{counted[1]} skipped" in output and "passed" not in output
        status, output = run_pytest(repository, "--gpu")
        assert status == 4 and why_no_gpu()[:40] in output
    else:
        status, output = run_pytest(repository, "--gpu", "-k", "levels")
        assert status == 0 and "passed" in output


def test_each_test_has_one_thread() -> None:
    """More threads of PyTorch would spin, and slow down other tests."""
    assert torch.get_num_threads() == int(os.environ["OMP_NUM_THREADS"])
