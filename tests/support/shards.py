"""Data sets of the tests, what is in them, and runs of `zoo.generate` as processes."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zoo.generation.run import generate

SIZE = 40
"""Images of a shard."""


def make(out: Path, count: int = 100, engine: str = "cgan", **options: Any) -> str:
    """Make a data set in shards of `SIZE` images."""
    options = {"shard_size": SIZE, "seed": 5, "first": 7, "workers": 1, **options}
    return generate(engine, str(out), count=count, **options)


def contents(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a data set but its indices, by path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("index")
    }


def read_png(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))[:, :, None]


def start(
    out: Path, *options: object, prefix: Sequence[str] = (), **process: Any
) -> subprocess.Popen[bytes]:
    """Start a run of 24 shards of 100 images, by another program if a `prefix` names one."""
    command = [*prefix, sys.executable, "-m", "zoo.generate", "--engine", "cgan", "-n", "24e2"]
    command += ["--shard-size", "100", "--out", str(out), *map(str, options)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **process)


def error_of(run: subprocess.Popen[bytes], seconds: float = 600) -> str:
    """Wait for a run, and return its error, which must be one line with exit code 2; "" if none."""
    _, said = run.communicate(timeout=seconds)
    text = said.decode()
    assert (run.returncode, text.count("\n")) in {(0, 0), (2, 1)}, (run.returncode, text)
    assert text == "" or text.startswith("error: "), text
    return text


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """Return the processes that a process has started."""
    listed = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [int(pid) for path in listed for pid in path.read_text().split()]
