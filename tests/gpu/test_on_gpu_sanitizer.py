"""Tests of the CUDA kernels under NVIDIA's compute-sanitizer.

memcheck finds accesses outside of allocated memory, racecheck unsynchronized accesses of the
threads of a block to shared memory.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import compute_sanitizer

pytestmark = [pytest.mark.gpu, pytest.mark.sanitizer]

KERNELS = Path(__file__).with_name("test_on_gpu_kernels.py")
# Kernels of other libraries; deliberate use of host memory; graphs, which PyTorch cannot capture
# without its memory cache.
LEFT_OUT = ("curand", "cupy", "refused", "captured")


@pytest.mark.parametrize("tool", ["memcheck", "racecheck"])
def test_kernels_under(tool: str) -> None:
    """All tests of our kernels pass without findings."""
    selected = " and ".join(f"not {name}" for name in LEFT_OUT)
    command = [sys.executable, "-m", "pytest", "-q", "--gpu", "-p", "no:cacheprovider"]
    status, output = compute_sanitizer.run(tool, [*command, "-k", selected, KERNELS])
    assert status == 0, output[-3000:]
    passed = re.search(r"(\d+) passed", output)
    assert passed and int(passed[1]) > 50 and "skipped" not in output, output[-3000:]
    assert compute_sanitizer.findings(tool, output) == 0, output[-3000:]
