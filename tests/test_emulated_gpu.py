"""The GPU runtime on emulated CUDA devices: `emulated_gpu*.py`, in processes of their own.

A process opens CUDA once, and the other tests are to see the machine as it is.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import host_cuda
import pytest

CASES = sorted(Path(__file__).parent.glob("emulated_gpu*.py"))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The emulated devices."""
    return host_cuda.build(tmp_path_factory.mktemp("emulated"))


@pytest.mark.slow
@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.stem)
def test_runtime_on_an_emulated_gpu(cases: Path, library: Path) -> None:
    pytest.importorskip("tensorrt_rtx_bindings")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs", cases],
        env=os.environ | {"ZOO_CUDA_LIBRARY": str(library), "HOST_CUDA_DEVICES": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    assert " passed" in done.stdout and "skipped" not in done.stdout, done.stdout[-3_000:]
