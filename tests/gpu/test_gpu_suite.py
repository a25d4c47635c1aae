"""The suite itself: what needs a GPU runs or is seen to be skipped; each test has one thread."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import compute_sanitizer
from gpus import why_no_gpu
from repository import TESTS


def pytest_says(repository: Path, *arguments: str) -> tuple[int, str]:
    """Exit status and output of pytest on the tests of the GPU."""
    files = sorted((repository / "tests" / "gpu").glob("test_on_gpu_*.py"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, *files],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_gpu_tests_are_skipped_by_name_and_number(repository: Path) -> None:
    _, listed = pytest_says(repository, "--collect-only")
    count = len(re.findall(r"^tests/gpu/test_on_gpu_\S+::", listed, re.MULTILINE))
    assert count > 50
    if why_no_gpu():
        # As `make test` runs them: processes of pytest-xdist collect, and another one counts.
        status, said = pytest_says(repository, "-p", "no:benchmark", "--numprocesses=1")
        assert status == 0 and f"{count} skipped" in said and "passed" not in said
        assert f"{count} tests need a GPU and were not run" in said
        status, said = pytest_says(repository, "--gpu")
        assert status == 4 and why_no_gpu()[:40] in said
    else:
        status, said = pytest_says(repository, "--gpu", "-k", "levels")
        assert status == 0 and "passed" in said


def test_each_test_has_one_thread() -> None:
    """The threads of PyTorch's pool spin against those of other tests, whose time they take."""
    assert torch.get_num_threads() == int(os.environ["OMP_NUM_THREADS"])


def test_tests_under_compute_sanitizer_are_skipped_by_number(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """On a machine with a GPU: those only that need the tool, where it is missing."""
    conftest: Any = request.config.pluginmanager.get_plugin(str(TESTS / "conftest.py"))
    monkeypatch.setattr(conftest, "why_no_gpu", lambda: "")
    for found, skipped in ((None, 2), ("/usr/bin/compute-sanitizer", 0)):
        monkeypatch.setattr(compute_sanitizer, "find", lambda found=found: found)
        items = [
            pytest.Function.from_parent(request.node.parent, name=f"t{i}", callobj=lambda: None)
            for i in range(5)
        ]
        for item in items[:3]:
            item.add_marker("gpu")
        for item in items[1:3]:
            item.add_marker("sanitizer")
        config = SimpleNamespace(stash=pytest.Stash(), getoption=lambda name: True)
        conftest.pytest_collection_modifyitems(config, items)
        marked = [item.get_closest_marker("skip") is not None for item in items]
        assert marked == [False, *[skipped > 0] * 2, False, False]
        lines: list[str] = []
        conftest.pytest_terminal_summary(SimpleNamespace(write_line=lines.append), config)
        assert lines == [
            f"{skipped} tests need compute-sanitizer and were not run (of the CUDA toolkit)"
        ] * bool(skipped)


def test_compute_sanitizer_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the PATH, in CUDA_HOME, in the toolkit of the nvcc on the PATH."""
    for name in ("toolkit/bin/nvcc", "toolkit/compute-sanitizer/compute-sanitizer", "a/nothing"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    there = str(tmp_path / "toolkit" / "compute-sanitizer" / "compute-sanitizer")
    for name in ("CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "a"))
    assert compute_sanitizer.find() != there
    for path in (tmp_path / "toolkit" / "bin", Path(there).parent):
        monkeypatch.setenv("PATH", str(path))
        assert compute_sanitizer.find() == there
    monkeypatch.setenv("PATH", str(tmp_path / "a"))
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "toolkit"))
    assert compute_sanitizer.find() == there


def test_what_compute_sanitizer_found() -> None:
    assert compute_sanitizer.findings("memcheck", "===== ERROR SUMMARY: 0 errors\n") == 0
    twice = "ERROR SUMMARY: 1 error\nERROR SUMMARY: 64 errors\n"
    assert compute_sanitizer.findings("memcheck", twice) == 65
    said = "RACECHECK SUMMARY: 3 hazards displayed (2 errors, 1 warning)\n"
    assert compute_sanitizer.findings("racecheck", said) == 3
    for said in ("", "64 passed", "ERROR SUMMARY: 0 errors"):
        with pytest.raises(AssertionError, match="no summary"):
            compute_sanitizer.findings("racecheck", said)
