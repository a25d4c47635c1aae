"""Python programs in processes of their own, for what ends a process or hangs in it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import Any


def run_python(
    code: str, *arguments: object, timeout: float = 120, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a program in a new process, which is killed after a time limit."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(os.fspath, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        **options,
    )


def prints(expected: str, code: str, *arguments: object, status: int = 0, **options: Any) -> None:
    """The program prints this, and ends with this status."""
    done = run_python(code, *arguments, **options)
    assert (done.returncode, done.stdout.strip()) == (status, expected), done.stdout + done.stderr
