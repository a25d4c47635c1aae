"""The tests of the CUDA kernels once more, under NVIDIA's compute-sanitizer.

memcheck finds reads and writes beside the memory that was allocated, racecheck threads of a block
that read or write shared memory without waiting for each other.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import compute_sanitizer

pytestmark = [pytest.mark.gpu, pytest.mark.sanitizer]

KERNELS = Path(__file__).with_name("test_on_gpu_kernels.py")
# Kernels of others; memory of the host, which is given on purpose; graphs, which PyTorch may not
# capture without its cache of memory.
LEFT_OUT = ("curand", "cupy", "refused", "captured")


@pytest.mark.parametrize("tool", ["memcheck", "racecheck"])
def test_kernels_under(tool: str) -> None:
    """Every kernel test that runs our kernels passes, and the tool finds nothing."""
    selected = " and ".join(f"not {name}" for name in LEFT_OUT)
    command = [sys.executable, "-m", "pytest", "-q", "--gpu", "-p", "no:cacheprovider"]
    status, said = compute_sanitizer.run(tool, [*command, "-k", selected, KERNELS])
    assert status == 0, said[-3000:]
    passed = re.search(r"(\d+) passed", said)
    assert passed and int(passed[1]) > 50 and "skipped" not in said, said[-3000:]
    assert compute_sanitizer.findings(tool, said) == 0, said[-3000:]
