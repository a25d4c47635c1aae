"""The tests that need a GPU run, or are seen to be skipped: none passes in silence."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from gpus import why_no_gpu


def pytest_says(repository: Path, *arguments: str) -> tuple[int, str]:
    """Exit status and output of pytest on the tests of the GPU."""
    files = sorted((repository / "tests").glob("test_on_gpu_*.py"))
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
    count = len(re.findall(r"^tests/test_on_gpu_\S+::", listed, re.MULTILINE))
    assert count > 50
    if why_no_gpu():
        status, said = pytest_says(repository)
        assert status == 0 and f"{count} skipped" in said and "passed" not in said
        assert f"{count} tests need a GPU and were not run" in said
        status, said = pytest_says(repository, "--gpu")
        assert status == 4 and why_no_gpu()[:40] in said
    else:
        status, said = pytest_says(repository, "--gpu", "-k", "levels")
        assert status == 0 and "passed" in said
