"""Runs the commands as a user's shell does: real processes, real files."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def refuses_here(main: Callable[..., Any], capfd: pytest.CaptureFixture[str], *args: object) -> str:
    """Call a command that must fail cleanly in this process; return its message."""
    with pytest.raises(SystemExit) as stopped:
        main([str(arg) for arg in args])
    assert stopped.value.code == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


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


def without(package: str, name: str, *args: object, cwd: Path) -> str:
    """Run a command that needs a package in a process without it; return its error."""
    code = f"import sys; sys.modules[{package!r}] = None; from zoo import {name} as m; "
    code += f"m.main({[str(arg) for arg in args]!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, ""), done
    return done.stderr


def peak_memory(name: str, *args: object, cwd: Path) -> int:
    """Peak resident memory of a command, in kB."""
    code = f"import zoo.{name} as m; m.main({[str(arg) for arg in args]!r}, standalone_mode=False)"
    code += "\nprint(*[line for line in open('/proc/self/status') if line.startswith('VmHWM')])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[-2])


def interrupt(
    name: str, *args: object, cwd: Path, number: int, twice: bool = False, **begun: Any
) -> tuple[int, str]:
    """Signal a command that has begun to write; return its status and stderr.

    `begun` goes to `wait_for_output`. The command must leave no file and print nothing to stdout.
    """
    files = contents(cwd)
    with subprocess.Popen(
        command(name, *args), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            wait_for_output(cwd, **begun)
            process.send_signal(number)
            while twice and process.poll() is None:
                process.send_signal(number)
                time.sleep(0.02)
            said, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert contents(cwd).keys() == files.keys() and said == ""
    return process.returncode, errors


def wait_for_output(folder: Path, pattern: str = ".zoo-*.part", size: int = 10_000) -> None:
    """Wait until a temporary file has `size` bytes, or a temporary folder content."""
    for _ in range(600):
        for path in folder.glob(pattern):
            if any(path.iterdir()) if path.is_dir() else path.stat().st_size >= size:
                return
        time.sleep(0.1)
    pytest.fail("nothing was written for a minute")
