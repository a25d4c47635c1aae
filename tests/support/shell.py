"""Runs the commands as a user's shell does: real processes, real files."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ENGINE = "vae.onnx"


def command(name: str, *args: object) -> list[str]:
    """`python -m zoo.NAME ARGS…` as an argument list."""
    return [sys.executable, "-m", f"zoo.{name}", *map(str, args)]


def run(
    name: str, *args: object, cwd: Path, before: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end in the folder `cwd`; `before` runs in the child, before Python."""
    return subprocess.run(
        command(name, *args),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=before,
        check=False,
    )


def succeeds(name: str, *args: object, cwd: Path) -> str:
    """Run a command that must succeed without a word on stderr; its stdout."""
    done = run(name, *args, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def refuses(name: str, *args: object, cwd: Path, before: Callable[[], None] | None = None) -> str:
    """Run a command that must fail cleanly; its message.

    Cleanly: exit code 2, one line `error: …`, nothing on stdout, and no file
    in `cwd` made, changed or lost.
    """
    files = contents(cwd)
    done = run(name, *args, cwd=cwd, before=before)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert done.stderr.startswith("error: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert contents(cwd) == files
    return done.stderr


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file below a folder, hidden ones too; 0, 0 for folders."""
    result = {}
    for path, _, files in os.walk(folder):
        result[path] = (0, 0)
        for name in files:
            status = os.lstat(os.path.join(path, name))
            result[os.path.join(path, name)] = (status.st_size, status.st_mtime_ns)
    return result


def modules_after(tmp_path: Path, code: str) -> set[str]:
    """Top-level modules that a new process has imported after running `code`."""
    code += "\nimport sys; print('\\n' + ' '.join({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def wait_for_output(folder: Path) -> None:
    """Wait until a temporary file or folder has content."""
    for _ in range(600):
        for path in folder.glob(".zoo-*.part"):
            if any(path.iterdir()) if path.is_dir() else path.stat().st_size > 10_000:
                return
        time.sleep(0.1)
    pytest.fail("nothing was written for a minute")
