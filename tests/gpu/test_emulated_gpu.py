"""Run of `emulated_gpu*.py`, the GPU runtime on emulated CUDA devices, in separate processes.

A process opens CUDA once, and other tests need the real machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import host_cuda
import host_onnxruntime

FOLDER = Path(__file__).parent
ONNXRUNTIME = sorted(FOLDER.glob("emulated_gpu_onnxruntime*.py"))
PLANS = [path for path in sorted(FOLDER.glob("emulated_gpu*.py")) if path not in ONNXRUNTIME]
# Two processes of similar duration; the files of each share its plans.
CHECKED = [path for path in PLANS if path.stem.endswith(("_checks", "_choice"))]
OTHERS = [path for path in PLANS if path not in CHECKED]


@pytest.fixture(scope="module")
def devices() -> Path:
    return host_cuda.build()


def run_cases(
    cases: Sequence[Path], devices: Path, which: str = "not long", **variables: str
) -> None:
    """Run the tests of some files, with two emulated devices; none may fail or be skipped."""
    variables |= {"ZOO_CUDA_LIBRARY": str(devices), "HOST_CUDA_DEVICES": "2"}
    options = ["-q", "-p", "no:cacheprovider", "-rs", "-m", which]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *cases],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    assert " passed" in done.stdout and "skipped" not in done.stdout, done.stdout[-3_000:]


@pytest.mark.slow
@pytest.mark.parametrize("cases", [CHECKED, OTHERS], ids=["checked", "others"])
def test_plans_on_an_emulated_gpu(cases: list[Path], devices: Path) -> None:
    pytest.importorskip("tensorrt_rtx_bindings")
    run_cases(cases, devices)


@pytest.mark.slow
def test_onnxruntime_on_an_emulated_gpu(devices: Path, tmp_path: Path) -> None:
    library = host_onnxruntime.build(tmp_path)
    run_cases(ONNXRUNTIME, devices, **host_onnxruntime.environment(library))


@pytest.mark.long
def test_engines_like_others_on_an_emulated_gpu(devices: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx_bindings")
    run_cases(PLANS, devices, "long")
    library = host_onnxruntime.build(tmp_path)
    run_cases(ONNXRUNTIME, devices, "long", **host_onnxruntime.environment(library))
